"""What can be wrong with a visibility query: one text for each rule."""

from __future__ import annotations

from enum import StrEnum

MAX_PREDICATES = 32
MAX_LITERALS = 100


class Problem(StrEnum):
    """``{field}`` is the name of the field that the predicate is about."""

    NO_PREDICATE = "Visibility query predicates must use: Field = literal."
    EQUALITY_ONLY = "[{field}] only supports equality comparisons."
    NO_NEGATED_IN = "[{field}] does not support NOT IN."
    NEEDS_INTEGER = "[{field}] must be compared with an integer literal."
    NEEDS_NUMBER = "[{field}] must be compared with a numeric literal."
    NEEDS_BOOLEAN = "[{field}] must be compared with true or false."
    NEEDS_INSTANT = "[{field}] must be compared with an RFC 3339 instant."
    TOO_MANY_PREDICATES = f"A visibility query has at most {MAX_PREDICATES} predicates."
    TOO_MANY_LITERALS = f"[{{field}}] is compared with at most {MAX_LITERALS} literals."


class InvalidQuery(Exception):
    """A query that breaks a rule; its text is for the caller."""

    def __init__(self, problem: Problem, field: str = "") -> None:
        super().__init__(problem.format(field=field))
        self.problem = problem

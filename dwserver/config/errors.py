"""What configuration reports when an environment cannot be used."""

from __future__ import annotations

from dataclasses import dataclass


class InvalidValueError(ValueError):
    """A text is not a value of its variable; str() is what was expected."""


@dataclass(frozen=True, slots=True)
class Problem:
    """One variable that cannot be used. `found` is None for secrets."""

    variable: str
    expected: str
    found: str | None = None

    def __str__(self) -> str:
        if self.found is None:
            return f"{self.variable}: expected {self.expected}"
        return f"{self.variable}: expected {self.expected}, found {self.found!r}"


class ConfigurationError(Exception):
    """Every bad variable of an environment at once; never shows a secret."""

    def __init__(self, problems: tuple[Problem, ...]) -> None:
        super().__init__("; ".join(str(problem) for problem in problems))
        self.problems = problems

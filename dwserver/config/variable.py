"""One row of the configuration contract."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import KW_ONLY, dataclass
from enum import StrEnum
from typing import Any

Lookup = Callable[[str], Any]
"""Returns the resolved value of another variable by name."""


class ValueType(StrEnum):
    """How the text of a variable is read."""

    STRING = "string"
    INTEGER = "integer"
    NUMBER = "number"
    BOOLEAN = "boolean"
    ENUM = "enum"
    JSON = "JSON object"
    CSV = "comma list"
    URL = "URL"


class Group(StrEnum):
    """Headings of the generated documentation, in order."""

    SERVER = "Server identity and topology"
    EXECUTION = "Execution nodes"
    HTTP = "HTTP listener"
    DATABASE = "Database and Redis"
    AUTH = "Authentication and attribution"
    WORKER_PLANE = "Worker plane"
    ADMISSION = "Task-queue admission"
    LIMITS = "Limits"
    STORAGE = "External payload storage"
    HISTORY = "History"
    COMPATIBILITY = "Worker compatibility and rollout"
    REPAIR = "Repair and lease recovery"
    SCHEDULER = "Scheduler"
    ENGINE = "Engine behaviour and caches"
    OPERATIONS = "Boot, shutdown, logging and metrics"


class Origin(StrEnum):
    """Where a name comes from; decides its legacy alias.

    Rules: spec/topology-and-operations.md §9. SERVER and PACKAGE names had a
    WORKFLOW_* predecessor; LATER and OWN names never did.
    """

    SERVER = "server"
    PACKAGE = "package"
    LATER = "later"
    OWN = "dwserver"


class OnInvalid(StrEnum):
    """What happens at boot to a value outside the declared type or bounds.

    CLAMP moves a number to the nearest bound, DEFAULT falls back with a
    warning, KEEP leaves the text to a runtime check.
    """

    REJECT = "reject"
    CLAMP = "clamp"
    DEFAULT = "default"
    KEEP = "keep"


@dataclass(frozen=True, slots=True)
class Derived:
    """A default computed from other variables; `text` documents it."""

    text: str
    rule: Callable[[Lookup], Any]


@dataclass(frozen=True, slots=True)
class Variable:
    """A DW_* variable: how it is read, what it sets, how it is documented.

    `setting` is "<group>.<field>" of `Settings`, None for a name that only feeds
    another default or, without `has_effect`, is merely accepted. `also_reads` names
    infrastructure variables used when neither the name nor its alias is set.
    `alias` overrides the alias rule of `origin`; "" means no alias.
    """

    name: str
    type: ValueType
    setting: str | None
    _: KW_ONLY
    description: str
    default: object = None
    unit: str = ""
    minimum: float | None = None
    maximum: float | None = None
    choices: tuple[str, ...] = ()
    pattern: str = ""
    expected: str = ""
    is_secret: bool = False
    has_effect: bool = True
    zero_unsets: bool = False
    on_invalid: OnInvalid = OnInvalid.REJECT
    origin: Origin = Origin.SERVER
    alias: str | None = None
    also_reads: tuple[str, ...] = ()
    since: str = "0.1"

    @property
    def legacy_alias(self) -> str | None:
        """The pre-DW_ name that still resolves, if there is one (§9)."""
        if self.alias is not None:
            return self.alias or None
        match self.origin:
            case Origin.SERVER:
                suffix = self.name.removeprefix("DW_").removeprefix("SERVER_")
                return f"WORKFLOW_SERVER_{suffix}"
            case Origin.PACKAGE:
                return f"WORKFLOW_V2_{self.name.removeprefix('DW_V2_')}"
            case Origin.LATER | Origin.OWN:
                return None

    @property
    def expectation(self) -> str:
        """What a value must be, for an error message."""
        if self.expected:
            return self.expected
        if self.choices:
            return "one of " + ", ".join(self.choices)
        article = "an" if self.type.value[0] in "aeiou" else "a"
        return f"{article} {self.type.value}{self.range_text}"

    @property
    def range_text(self) -> str:
        """The bounds in words, with a leading space; "" when unbounded."""
        match self.minimum, self.maximum:
            case None, None:
                return ""
            case low, None:
                return f" of at least {low}"
            case None, high:
                return f" of at most {high}"
            case low, high:
                return f" from {low} to {high}"

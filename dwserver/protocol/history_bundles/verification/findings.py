"""What a check says, and what it may repeat of the bundle.

A bundle comes from anywhere: values are repeated only in a short form that every JSON
writer takes.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

from dwserver.protocol.history_bundles.verification.rules import Rule, Severity
from dwserver.protocol.json_types import JsonObject, JsonValue

MAX_SHOWN: Final = 200
_LONGEST: Final = 2**63


@dataclass(frozen=True, slots=True)
class Finding:
    """``path``: the place in the bundle, dotted; None for the bundle itself."""

    rule: Rule
    severity: Severity
    message: str
    path: str | None
    context: Mapping[str, JsonValue] = field(default_factory=dict)

    def as_document(self) -> JsonObject:
        document: JsonObject = {
            "rule": self.rule.value,
            "severity": self.severity.value,
            "message": self.message,
            "path": self.path,
        }
        if self.context:
            document["context"] = dict(self.context)
        return document


def found(
    rule: Rule, message: str, path: str | None = None, /, **context: JsonValue
) -> Finding:
    """A finding of the severity of its rule; values of ``context`` are shortened."""
    told = {name: shown(value) for name, value in context.items()}
    return Finding(rule, rule.severity, message, path, told)


def shown(value: JsonValue) -> JsonValue:
    """``value``, short enough to be repeated."""
    if isinstance(value, str):
        return value[:MAX_SHOWN].encode(errors="replace").decode()
    if value is None or isinstance(value, bool):
        return value
    if isinstance(value, int) and -_LONGEST <= value < _LONGEST:
        return value
    if isinstance(value, dict):
        return "an object"
    return "a list" if isinstance(value, list) else "another number"


def text_or_none(value: JsonValue) -> str | None:
    """A text that is not empty."""
    return value if isinstance(value, str) and value else None


def integer_or_none(value: JsonValue) -> int | None:
    return value if isinstance(value, int) and not isinstance(value, bool) else None

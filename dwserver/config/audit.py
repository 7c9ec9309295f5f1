"""Which names of an environment the contract knows (§9.4). Values are never read."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import StrEnum

from dwserver.config.contract import (
    BY_NAME,
    FRAMEWORK_NAMES,
    FRAMEWORK_PREFIXES,
    REPLACEMENTS,
)

CONTRACT_PREFIX = "DW_"


class NameClass(StrEnum):
    """What the audit makes of one name."""

    KNOWN = "known"
    LEGACY = "legacy"
    UNKNOWN = "unknown"
    FRAMEWORK = "framework"
    IGNORED = "ignored"


class Severity(StrEnum):
    """How a message is to be logged."""

    INFO = "info"
    WARNING = "warning"


@dataclass(frozen=True, slots=True)
class AuditMessage:
    """One log line: an event name with its keys, and the same for people."""

    severity: Severity
    event: str
    fields: Mapping[str, object]
    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class AuditReport:
    """The names of an environment by class, each list sorted."""

    known: tuple[str, ...]
    legacy: tuple[str, ...]
    unknown: tuple[str, ...]
    framework: tuple[str, ...]
    ignored: tuple[str, ...]

    @property
    def finding_count(self) -> int:
        """Unknown and legacy names together; strict mode demands 0."""
        return len(self.unknown) + len(self.legacy)

    def is_acceptable(self, *, strict: bool) -> bool:
        """True when boot may go on."""
        return not strict or self.finding_count == 0

    def messages(self) -> tuple[AuditMessage, ...]:
        """One line for all unknown names, one per legacy name, or the all-clear."""
        if self.finding_count == 0:
            count = len(self.known)
            text = f"Environment is clean; recognised DW_* names: {count}."
            fields = {"recognised": count}
            return (AuditMessage(Severity.INFO, "env_audit_clean", fields, text),)
        return (*self._unknown_message(), *map(_legacy_message, self.legacy))

    def as_json(self) -> dict[str, object]:
        """The report as the command prints it."""
        return {
            "known": list(self.known),
            "legacy": [
                {"name": name, "replacement": REPLACEMENTS[name]}
                for name in self.legacy
            ],
            "unknown": list(self.unknown),
            "framework": list(self.framework),
            "ignored": list(self.ignored),
            "findings": self.finding_count,
        }

    def _unknown_message(self) -> tuple[AuditMessage, ...]:
        if not self.unknown:
            return ()
        text = f"Unknown DW_* names without effect: {', '.join(self.unknown)}."
        fields = {"names": list(self.unknown)}
        return (AuditMessage(Severity.WARNING, "env_audit_unknown", fields, text),)


def classify(name: str) -> NameClass:
    """Return the class of one name; the first matching rule decides."""
    if name in BY_NAME:
        return NameClass.KNOWN
    if name in REPLACEMENTS:
        return NameClass.LEGACY
    if name.startswith(CONTRACT_PREFIX):
        return NameClass.UNKNOWN
    if name in FRAMEWORK_NAMES or name.startswith(FRAMEWORK_PREFIXES):
        return NameClass.FRAMEWORK
    return NameClass.IGNORED


def audit_environment(names: Iterable[str]) -> AuditReport:
    """Classify the names of an environment."""
    classes: dict[NameClass, list[str]] = {kind: [] for kind in NameClass}
    for name in sorted(names):
        classes[classify(name)].append(name)
    return AuditReport(
        known=tuple(classes[NameClass.KNOWN]),
        legacy=tuple(classes[NameClass.LEGACY]),
        unknown=tuple(classes[NameClass.UNKNOWN]),
        framework=tuple(classes[NameClass.FRAMEWORK]),
        ignored=tuple(classes[NameClass.IGNORED]),
    )


def _legacy_message(name: str) -> AuditMessage:
    replacement = REPLACEMENTS[name]
    return AuditMessage(
        Severity.WARNING,
        "env_audit_legacy",
        {"name": name, "replacement": replacement},
        f"{name} is a legacy name: set {replacement} instead.",
    )

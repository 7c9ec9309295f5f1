"""The report of a verification (``spec/history-bundles.md`` §3.5)."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from dwserver.protocol.history_bundles.verification.findings import (
    Finding,
    integer_or_none,
    shown,
    text_or_none,
)
from dwserver.protocol.history_bundles.verification.rules import Rule, Severity
from dwserver.protocol.json_types import JsonObject, JsonValue
from dwserver.protocol.schemas import HISTORY_BUNDLE_VERIFICATION

# Findings of one rule that a report lists; all of them are counted.
MAX_OF_ONE_RULE: Final = 100


class VerificationStatus(StrEnum):
    """``failed`` if anything is wrong, else ``warning`` if anything is doubtful."""

    OK = "ok"
    WARNING = "warning"
    FAILED = "failed"


@dataclass(frozen=True, slots=True, kw_only=True)
class BundleIdentity:
    """Which run a bundle says that it is of."""

    schema: str | None = None
    schema_version: int | None = None
    instance_id: str | None = None
    run_id: str | None = None
    history_event_count: int = 0

    @classmethod
    def of(cls, bundle: JsonObject) -> BundleIdentity:
        workflow, events = bundle.get("workflow"), bundle.get("history_events")
        named = workflow if isinstance(workflow, dict) else {}
        return cls(
            schema=_short(bundle.get("schema")),
            schema_version=integer_or_none(shown(bundle.get("schema_version"))),
            instance_id=_short(named.get("instance_id")),
            run_id=_short(named.get("run_id")),
            history_event_count=len(events) if isinstance(events, list) else 0,
        )

    def as_document(self) -> JsonObject:
        return {
            "schema": self.schema,
            "schema_version": self.schema_version,
            "instance_id": self.instance_id,
            "run_id": self.run_id,
            "workflow_instance_id": self.instance_id,
            "workflow_run_id": self.run_id,
            "history_event_count": self.history_event_count,
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class IntegrityFacts:
    """What the bundle declares about itself, and what is true of it.

    ``recomputed_checksum``, ``checksum_matches`` and ``signature_verified`` are None
    for what could not be compared.
    """

    is_present: bool = False
    canonicalization: str | None = None
    checksum_algorithm: str | None = None
    checksum: str | None = None
    signature_algorithm: str | None = None
    is_signed: bool = False
    key_id: str | None = None
    has_key: bool = False
    recomputed_checksum: str | None = None
    checksum_matches: bool | None = None
    signature_verified: bool | None = None

    def as_document(self) -> JsonObject:
        """The last four are those that the Python verifier has beyond the PHP one."""
        return {
            "present": self.is_present,
            "canonicalization": _short(self.canonicalization),
            "checksum_algorithm": _short(self.checksum_algorithm),
            "expected_checksum": _short(self.checksum),
            "recomputed_checksum": self.recomputed_checksum,
            "checksum_matches": self.checksum_matches,
            "signature_algorithm": _short(self.signature_algorithm),
            "signature_present": self.is_signed,
            "signature_verified": self.signature_verified,
            "key_id": _short(self.key_id),
            "checksum": _short(self.checksum),
            "checksum_ok": self.checksum_matches,
            "signature_ok": self.signature_verified,
            "signing_key_provided": self.has_key,
        }


@dataclass(frozen=True, slots=True)
class VerificationReport:
    """``findings`` in the order of the checks, of each rule the first hundred;
    ``counts`` has all of them."""

    findings: tuple[Finding, ...]
    counts: Mapping[Rule, int]
    bundle: BundleIdentity
    integrity: IntegrityFacts

    @classmethod
    def of(
        cls,
        findings: Iterable[Finding],
        *,
        bundle: BundleIdentity | None = None,
        integrity: IntegrityFacts | None = None,
    ) -> VerificationReport:
        counts: Counter[Rule] = Counter()
        listed: list[Finding] = []
        for each in findings:
            counts[each.rule] += 1
            if counts[each.rule] <= MAX_OF_ONE_RULE:
                listed.append(each)
        return cls(
            tuple(listed),
            dict(counts),
            bundle or BundleIdentity(),
            integrity or IntegrityFacts(),
        )

    @property
    def status(self) -> VerificationStatus:
        if self.count(Severity.ERROR):
            return VerificationStatus.FAILED
        if self.count(Severity.WARNING):
            return VerificationStatus.WARNING
        return VerificationStatus.OK

    @property
    def signature_verified(self) -> bool | None:
        """None without a signature, or without a key to compare it with."""
        return self.integrity.signature_verified

    def count(self, severity: Severity) -> int:
        """Of all findings, listed or not."""
        return sum(n for rule, n in self.counts.items() if rule.severity is severity)

    def as_document(self) -> JsonObject:
        """The JSON of §3.5. ``integrity`` has four members that only the Python
        verifier writes: ``checksum``, ``checksum_ok``, ``signature_ok`` and
        ``signing_key_provided``."""
        return {
            "schema": HISTORY_BUNDLE_VERIFICATION.name,
            "schema_version": HISTORY_BUNDLE_VERIFICATION.version,
            "status": self.status.value,
            "bundle": self.bundle.as_document(),
            "integrity": self.integrity.as_document(),
            "findings": [each.as_document() for each in self.findings],
            "summary": {
                "findings": sum(self.counts.values()),
                "errors": self.count(Severity.ERROR),
                "warnings": self.count(Severity.WARNING),
                "info": self.count(Severity.INFO),
                "findings_by_rule": {
                    rule.value: count for rule, count in self.counts.items()
                },
            },
        }


def _short(value: JsonValue) -> str | None:
    return text_or_none(shown(value)) if isinstance(value, str) else None

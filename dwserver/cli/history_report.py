"""The report of a verification for people."""

from __future__ import annotations

from dwserver.protocol.history_bundles.verification.report import (
    IntegrityFacts,
    VerificationReport,
)

_COMPARED = {True: "matches", False: "does not match", None: "not compared"}
_VERIFIED = {True: "verified", False: "does not match", None: "not compared"}


def describe(report: VerificationReport) -> str:
    """What was looked at, then a line for each finding."""
    bundle, integrity = report.bundle, report.integrity
    facts = {
        "schema": f"{bundle.schema or '-'}, version {bundle.schema_version or '-'}",
        "workflow": bundle.instance_id or "-",
        "run": bundle.run_id or "-",
        "events": str(bundle.history_event_count),
        "checksum": _COMPARED[integrity.checksum_matches],
        "signature": _signature(integrity),
        "status": report.status.value,
    }
    rows = [
        (each.severity.value, each.rule.value, each.path or "-", each.message)
        for each in report.findings
    ]
    lines = [f"{name:<9}  {text}" for name, text in facts.items()]
    if rows:
        widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
        lines += [
            "",
            *("  ".join(map(str.ljust, cells, widths)).rstrip() for cells in rows),
        ]
    left_out = sum(report.counts.values()) - len(rows)
    if left_out:
        lines.append(f"and {left_out} more")
    return "\n".join(map(_printable, lines))


def _signature(integrity: IntegrityFacts) -> str:
    if not integrity.is_signed:
        return "none"
    named = f", key {integrity.key_id}" if integrity.key_id else ""
    return _VERIFIED[integrity.signature_verified] + named


def _printable(line: str) -> str:
    """A bundle may come from anywhere, and terminals obey control characters."""
    return "".join(each if each.isprintable() else "?" for each in line)

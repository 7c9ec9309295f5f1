"""The report of an import (§5.4): the body of every answer."""

from __future__ import annotations

from collections.abc import Sequence
from enum import StrEnum
from typing import Final

from dwserver.engine.imports.eligibility import Finding, Level
from dwserver.engine.transition import RunChange, RunImport, Transition
from dwserver.engine.wire_time import micro
from dwserver.protocol.history_bundles.reading.facts import BundleSummary, count_of
from dwserver.protocol.json_types import JsonObject
from dwserver.protocol.manifests.embedded_import import CONTRACT_VERSION, SOURCE
from dwserver.protocol.schemas import EMBEDDED_IMPORT_REPORT


class ImportStatus(StrEnum):
    IMPORTED = "imported"
    ALREADY_IMPORTED = "already_imported"
    DRY_RUN = "dry_run"
    REJECTED = "rejected"


# The row counts of a report, and the sections of a bundle that tell them beforehand.
_SECTIONS: Final = {
    "workflow_instances": None,
    "workflow_runs": None,
    "workflow_history_events": "history_events",
    "workflow_commands": "commands",
    "workflow_signal_records": "signals",
    "workflow_updates": "updates",
    "workflow_tasks": "tasks",
    "activity_executions": "activities",
    "activity_attempts": None,
    "workflow_run_timers": "timers",
    "workflow_failures": "failures",
    "workflow_links": None,
    "workflow_memos": None,
    "workflow_search_attributes": None,
    "workflow_run_summaries": None,
}
NO_ROWS: Final[JsonObject] = dict.fromkeys(_SECTIONS, 0)


def estimated_rows(bundle: JsonObject) -> JsonObject:
    """By the bundle alone; memo and search attributes are not counted (§5.4)."""
    links = bundle["links"]
    return {
        **{
            name: count_of(bundle, section) if section else 0
            for name, section in _SECTIONS.items()
        },
        "workflow_instances": 1,
        "workflow_runs": 1,
        "activity_attempts": sum(
            count_of(activity, "attempts") for activity in bundle["activities"]
        ),
        "workflow_links": count_of(links, "parents") + count_of(links, "children"),
        "workflow_run_summaries": 1,
    }


def written_rows(transition: Transition, bundle: JsonObject) -> JsonObject:
    change: RunChange = transition.changes[-1]
    given = change.input
    return {
        **estimated_rows(bundle),
        "workflow_instances": len(transition.new_instances),
        "workflow_history_events": len(change.events),
        "workflow_commands": len(change.commands),
        "workflow_signal_records": len(change.new_signals),
        "workflow_updates": len(change.new_updates),
        "workflow_tasks": len(change.new_tasks),
        "activity_executions": len(change.new_activities),
        "activity_attempts": len(change.attempts),
        "workflow_run_timers": len(change.new_timers),
        "workflow_failures": len(change.failures),
        "workflow_memos": len(given.memo) if given else 0,
        "workflow_search_attributes": len(given.search_attributes) if given else 0,
    }


def report(
    summary: BundleSummary,
    *,
    status: ImportStatus,
    namespace: str,
    is_dry_run: bool,
    findings: Sequence[Finding],
    integrity: JsonObject,
    rows: JsonObject = NO_ROWS,
    mark: RunImport | None = None,
) -> JsonObject:
    """``mark``: what an import has written beside the run."""
    errors, warnings = (
        [
            {"rule": finding.rule, "message": finding.message}
            for finding in findings
            if finding.level is level
        ]
        for level in (Level.ERROR, Level.WARNING)
    )
    document: JsonObject = {
        "schema": EMBEDDED_IMPORT_REPORT.name,
        "schema_version": EMBEDDED_IMPORT_REPORT.version,
        "contract_version": CONTRACT_VERSION,
        "source": SOURCE,
        "dry_run": is_dry_run,
        "workflow": {
            "instance_id": summary.instance_id,
            "run_id": summary.run_id,
            "run_number": summary.run_number,
            "workflow_type": summary.workflow_type,
            "namespace": namespace,
            "status": summary.status,
            "is_current_run": summary.is_current,
            "history_complete": summary.is_history_complete,
            "dedupe_key": summary.dedupe_key,
        },
        "eligibility": {
            "eligible": not errors,
            "errors": errors,
            "warnings": warnings,
        },
        "integrity": integrity,
        "rollback": {
            "mode": "database_transaction",
            "partial_import_behavior": "no_rows_committed_on_failure",
        },
        "status": status,
        "rows": rows,
    }
    if mark is not None and status is ImportStatus.IMPORTED:
        document["import_id"] = mark.import_id
        document["imported_at"] = micro(mark.imported_at)
    elif mark is not None:
        document["existing_import_id"] = mark.import_id
    return document

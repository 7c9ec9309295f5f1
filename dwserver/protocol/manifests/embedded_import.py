"""What this server takes over from the embedded engine, and how
(``spec/history-bundles.md`` §5.3)."""

from __future__ import annotations

from typing import Final

from dwserver.protocol.json_types import JsonObject
from dwserver.protocol.schemas import (
    EMBEDDED_IMPORT_CONTRACT,
    EMBEDDED_IMPORT_REPORT,
    HISTORY_EXPORT,
)

SOURCE: Final = "embedded_v2"
CONTRACT_VERSION: Final = EMBEDDED_IMPORT_CONTRACT.version
ENGINE_SOURCE: Final = "embedded_v2_import"
"""``engine_source`` of an imported run."""
OWN_ENGINE: Final = "v2"
"""``engine_source`` of any other run."""
IMPORT_PATH: Final = "/api/workflows/import/embedded-v2"
COLUMNS: Final = (
    "import_source",
    "import_id",
    "import_dedupe_key",
    "import_contract_version",
    "imported_at",
)


def embedded_import_contract() -> JsonObject:
    """``embedded_v2_import_contract`` of the discovery document."""
    return {
        **EMBEDDED_IMPORT_CONTRACT.identity(),
        "history_export": {
            "schema": HISTORY_EXPORT.name,
            "schema_version": HISTORY_EXPORT.version,
            "command": "workflow:v2:history-export",
            "server_endpoint": (
                "GET /api/workflows/{workflowId}/runs/{runId}/history/export"
            ),
        },
        "import": {
            "report_schema": EMBEDDED_IMPORT_REPORT.name,
            "report_schema_version": EMBEDDED_IMPORT_REPORT.version,
            "command": "workflow:v2:history-import {bundle}",
            "server_endpoint": f"POST {IMPORT_PATH}",
            "dry_run_option": "--dry-run",
            "namespace_override_option": "--namespace",
            "signature_option": "--require-signature",
            "idempotency": "workflow_run_id plus import_dedupe_key",
        },
        "eligibility": _eligibility(),
        "source_of_truth": {
            "history_events": "taken over with their ids, sequences and times",
            "workflow_and_payload_rows": "taken over; payloads byte for byte",
            "tasks_activities_timers_commands_signals_updates": (
                "taken over; must agree with the history"
            ),
            "projections": "derived here; those of the bundle are not read",
            "bundle_integrity": "verified before anything else is looked at",
        },
        "server_reconstruction": {
            "current_run": "the workflow id stands for the run if the bundle says so",
            "workflow_tasks": "a ready one can be claimed at once; at most one is open",
            "activity_tasks": "pending activities can be claimed at once",
            "waits": "follow from the history",
            "timers": "pending ones keep their time; overdue ones fire at once",
            "lineage": "parents, children and continued runs are known by their ids",
        },
        "failure_and_rollback": {
            "transaction": "all rows of a run are written together or not at all",
            "partial_or_interrupted_import": "leaves nothing behind",
            "retry_same_bundle": "answers already_imported",
            "conflicting_existing_run": "rejected with target.run_id_conflict",
        },
        "visibility_and_audit": {
            "workflow_run_columns": list(COLUMNS),
            "summary_engine_source": ENGINE_SOURCE,
            "detail_fields": ["engine_source", *COLUMNS],
        },
    }


def _eligibility() -> JsonObject:
    return {
        "supported_source_runtimes": ["embedded"],
        "required_bundle_schema": HISTORY_EXPORT.name,
        "required_bundle_schema_version": HISTORY_EXPORT.version,
        "required_bundle_field": "workflow.source_runtime=embedded",
        "v1_history": "out_of_scope",
        "live_run_rules": {
            "non_terminal_runs_must_be_current": True,
            "leased_workflow_or_activity_tasks": "rejected",
            "running_activity_attempts": "rejected",
            "redacted_payloads": "rejected",
        },
        "terminal_run_rules": {
            "history_complete_must_be_true": True,
            "may_import_non_current_runs_for_visibility": True,
        },
    }

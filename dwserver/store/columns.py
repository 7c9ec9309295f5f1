"""The columns of the records that statements read, once for both dialects.

The order is the one in which the decoders of PostgreSQL take them; those of SQLite
take them by name.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

# Record → alias of its table in the blocks, columns that are fields as they are, and
# columns that hold documents or payloads.
_RECORDS: Mapping[str, tuple[str, str, str]] = {
    "run": (
        "r",
        """id namespace workflow_id workflow_type run_number status task_queue
        payload_codec started_at last_progress_at version last_sequence last_step
        history_bytes command_sequence closed_reason closed_at compatibility priority
        execution_timeout_seconds run_timeout_seconds execution_deadline_at
        run_deadline_at task_failures batch_first batch_size batch_resolved_sequence
        continued_from_run_id parent_run_id parent_step inherits_children
        archived_at definition_fingerprint""",
        "wakes",
    ),
    "input": (
        "r",
        "",
        "arguments_codec arguments memo search_attributes business_key",
    ),
    "run_import": (
        "p",
        """import_source import_id import_dedupe_key import_contract_version
        imported_at""",
        "",
    ),
    "task": (
        "t",
        """id run_id namespace kind status queue type_name available_at created_at
        compatibility priority attempt repair_count lease_owner leased_at
        lease_expires_at snapshot_sequence activity_id attempt_id last_error
        closed_at definition_fingerprint""",
        "resume",
    ),
    "activity": (
        "a",
        """id run_id step batch activity_type status queue payload_codec digest
        created_at attempt_count schedule_deadline_at close_deadline_at
        schedule_to_close_deadline_at heartbeat_deadline_at last_heartbeat_at started_at
        closed_at is_held""",
        "retry_policy parallel",
    ),
    "timer": (
        "m",
        """id run_id step batch status delay_seconds fire_at task_id created_at kind
        closed_at is_held""",
        "parallel",
    ),
    "child": (
        "c",
        """id run_id step batch workflow_type status digest child_workflow_id
        child_run_id created_at child_run_number attempt_count parent_close_policy
        closed_at is_held""",
        "retry_policy parallel",
    ),
    "wait": (
        "w",
        """id run_id step batch wait_for status opened_at name condition_key fingerprint
        timeout_seconds closed_at is_held""",
        "parallel",
    ),
    "signal": (
        "s",
        """id run_id command_id sequence name wait_id status received_at event_sequence
        step applied_at""",
        "",
    ),
    "update": (
        "u",
        """id run_id command_id sequence name status accepted_at request_id
        event_sequence step failure_id failure_message applied_at closed_at""",
        "result_codec result",
    ),
    "command": (
        "c",
        """id namespace workflow_id run_id sequence command_type status outcome
        created_at target_name rejection_reason request_id applied_at""",
        "payload_codec payload context",
    ),
    "outbox": ("o", "id kind namespace run_id available_at created_at", "payload"),
    "schedule": (
        "s",
        """id namespace schedule_id version status overlap_policy jitter_seconds
        created_at updated_at note max_runs remaining_actions fires_count failures_count
        skipped_trigger_count last_event_sequence last_fired_at next_fire_at
        last_skipped_at last_skip_reason latest_workflow_id paused_at deleted_at""",
        "spec action memo search_attributes recent_actions buffered_actions",
    ),
    "namespace": (
        "namespaces",
        "name description retention_days status created_at updated_at",
        "external_storage",
    ),
    "worker": (
        "worker_registrations",
        """namespace worker_id task_queue runtime sdk_version build_id
        max_workflow_tasks max_activity_tasks status registered_at last_heartbeat_at""",
        "workflow_types activity_types fingerprints details",
    ),
    "node": (
        "cluster_nodes",
        "node_id process_class internal_address version started_at heartbeat_at",
        "roles details",
    ),
}


def plain(record: str) -> tuple[str, ...]:
    """The columns of a record that are its fields as they are; they come first."""
    return tuple(_RECORDS[record][1].split())


def _columns(alias: str, *names: str) -> str:
    return ",\n".join(f"{alias}.{name}" for name in " ".join(names).split())


COLUMNS: dict[str, str] = {name: _columns(*record) for name, record in _RECORDS.items()}
"""What replaces ``{run}``, ``{task}``, … in the blocks of both dialects. Each is
qualified with the alias that its table has there; namespaces, workers and nodes with
the table's name, since ``returning`` knows no alias in SQLite."""
_VIEW = ",\n".join(
    (
        COLUMNS["run"],
        COLUMNS["input"],
        _columns("r", "output_codec output"),
        _columns("i", "run_count current_run_id"),
        _columns("r", "pruned_at"),
    )
)
_NO_ORIGIN = (f"null as {name}" for name in plain("run_import"))
COLUMNS["run_view"] = f"{_VIEW},\n{COLUMNS['run_import']}"
COLUMNS["own_run_view"] = ",\n".join((_VIEW, *_NO_ORIGIN))
COLUMNS["cohort_status"] = """case
    when exists (
        select 1
        from build_id_rollouts o
        where o.namespace = worker_registrations.namespace
        and o.task_queue = worker_registrations.task_queue
        and o.build_id = coalesce(worker_registrations.build_id, '')
        and o.drain_intent = 'draining'
    ) then 'draining'
    else 'active'
end"""
"""The status that a registration is written with: that of its cohort."""

_PLACEHOLDER = re.compile(r"\{(\w+)\}")


def fill_columns(text: str) -> str:
    """A block with the columns in their places; other placeholders stay."""
    return _PLACEHOLDER.sub(lambda match: COLUMNS.get(match[1], match[0]), text)

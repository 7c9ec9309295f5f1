"""The columns of the records that statements read, once for both dialects.

The order is the one in which the decoders of PostgreSQL take them; those of SQLite
take them by name.
"""

from __future__ import annotations

import re
from collections.abc import Mapping


def _columns(alias: str, names: str) -> str:
    return ",\n".join(f"{alias}.{name}" for name in names.split())


_RUN = _columns(
    "r",
    """id namespace workflow_id workflow_type run_number status task_queue payload_codec
    started_at last_progress_at version last_sequence last_step history_bytes
    command_sequence closed_reason closed_at compatibility priority
    execution_timeout_seconds run_timeout_seconds execution_deadline_at run_deadline_at
    task_failures batch_first batch_size batch_resolved_sequence continued_from_run_id
    parent_run_id parent_step wakes""",
)
_INPUT = _columns("r", "arguments_codec arguments memo search_attributes business_key")
_VIEW_REST = "r.output_codec,\nr.output,\ni.run_count,\ni.current_run_id"

COLUMNS: Mapping[str, str] = {
    "run": _RUN,
    "input": _INPUT,
    "run_view": f"{_RUN},\n{_INPUT},\n{_VIEW_REST}",
    "task": _columns(
        "t",
        """id run_id namespace kind status queue type_name available_at created_at
        compatibility priority attempt repair_count lease_owner leased_at
        lease_expires_at snapshot_sequence activity_id attempt_id last_error closed_at
        resume""",
    ),
    "activity": _columns(
        "a",
        """id run_id step batch activity_type status queue payload_codec digest
        created_at attempt_count schedule_deadline_at close_deadline_at
        schedule_to_close_deadline_at heartbeat_deadline_at last_heartbeat_at started_at
        closed_at is_held retry_policy parallel""",
    ),
    "timer": _columns(
        "m",
        """id run_id step batch status delay_seconds fire_at task_id created_at kind
        closed_at is_held parallel""",
    ),
    "namespace": _columns(
        "s",
        """name description retention_days status external_storage created_at
        updated_at""",
    ),
    "worker": _columns(
        "worker_registrations",
        """namespace worker_id task_queue runtime sdk_version build_id
        max_workflow_tasks max_activity_tasks status registered_at last_heartbeat_at
        workflow_types activity_types fingerprints details""",
    ),
}
"""What replaces ``{run}``, ``{task}``, … in the blocks of both dialects. Each is
qualified with the alias that its table has there; workers with the table's name, since
``returning`` knows no alias in SQLite."""

_PLACEHOLDER = re.compile(r"\{(\w+)\}")


def fill_columns(text: str) -> str:
    """A block with the columns in their places; other placeholders stay."""
    return _PLACEHOLDER.sub(lambda match: COLUMNS.get(match[1], match[0]), text)

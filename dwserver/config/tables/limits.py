"""Rows: ceilings on requests and runs, history sizes, engine switches."""

from __future__ import annotations

from dwserver.config.variable import Derived, OnInvalid, Origin, Variable
from dwserver.config.variable import ValueType as T


def _limit(
    name: str, field: str, default: int, *, unit: str, description: str
) -> Variable:
    """A published request limit; its alias drops only the DW_ prefix."""
    suffix = name.removeprefix("DW_")
    return Variable(
        name,
        T.INTEGER,
        f"published_limits.{field}",
        default=default,
        unit=unit,
        minimum=1,
        alias=f"WORKFLOW_{suffix}",
        description=description,
    )


def _structural(
    name: str, field: str, default: int, *, unit: str, description: str
) -> Variable:
    """A structural limit; zero and below switch it off (§1.6)."""
    return Variable(
        f"DW_V2_LIMIT_{name}",
        T.INTEGER,
        f"structural_limits.{field}",
        default=default,
        unit=unit,
        minimum=0,
        on_invalid=OnInvalid.CLAMP,
        origin=Origin.PACKAGE,
        description=description,
    )


LIMIT_VARIABLES = (
    _limit(
        "DW_MAX_PAYLOAD_BYTES",
        "max_payload_bytes",
        2_097_152,
        unit="bytes",
        description="Largest payload of one request or command.",
    ),
    _limit(
        "DW_MAX_MEMO_BYTES",
        "max_memo_bytes",
        262_144,
        unit="bytes",
        description="Largest memo of a workflow.",
    ),
    _limit(
        "DW_MAX_SEARCH_ATTRIBUTES",
        "max_search_attributes",
        100,
        unit="attributes",
        description="Most search attributes of a workflow.",
    ),
    _limit(
        "DW_MAX_SEARCH_ATTRIBUTE_KEY_LENGTH",
        "max_search_attribute_key_length",
        128,
        unit="characters",
        description="Longest name of a search attribute.",
    ),
    _limit(
        "DW_MAX_SEARCH_ATTRIBUTE_VALUE_BYTES",
        "max_search_attribute_value_bytes",
        2048,
        unit="bytes",
        description="Largest value of a search attribute.",
    ),
    _limit(
        "DW_MAX_OPERATION_NAME_LENGTH",
        "max_operation_name_length",
        256,
        unit="characters",
        description="Longest name of a workflow type, activity type, signal, "
        "query or update.",
    ),
    _limit(
        "DW_MAX_PENDING_ACTIVITIES",
        "max_pending_activities",
        2000,
        unit="activities",
        description="Most open activities of a run; the smaller of this and the "
        "structural limit counts.",
    ),
    _limit(
        "DW_MAX_PENDING_CHILDREN",
        "max_pending_children",
        2000,
        unit="children",
        description="Most open children of a run; the smaller of this and the "
        "structural limit counts.",
    ),
    _structural(
        "PENDING_ACTIVITIES",
        "pending_activities",
        2000,
        unit="activities",
        description="Structural ceiling on open activities of a run; 0 is off.",
    ),
    _structural(
        "PENDING_CHILDREN",
        "pending_children",
        1000,
        unit="children",
        description="Structural ceiling on open children of a run; 0 is off.",
    ),
    _structural(
        "PENDING_TIMERS",
        "pending_timers",
        2000,
        unit="timers",
        description="Structural ceiling on open timers of a run; 0 is off.",
    ),
    _structural(
        "PENDING_SIGNALS",
        "pending_signals",
        5000,
        unit="signals",
        description="Structural ceiling on unapplied signals of a run; 0 is off.",
    ),
    _structural(
        "PENDING_UPDATES",
        "pending_updates",
        500,
        unit="updates",
        description="Structural ceiling on open updates of a run; 0 is off.",
    ),
    _structural(
        "COMMAND_BATCH_SIZE",
        "command_batch_size",
        1000,
        unit="commands",
        description="Most commands in one workflow-task completion; 0 is off.",
    ),
    _structural(
        "PAYLOAD_SIZE_BYTES",
        "payload_size_bytes",
        2_097_152,
        unit="bytes",
        description="Structural ceiling on one payload; 0 is off.",
    ),
    _structural(
        "MEMO_SIZE_BYTES",
        "memo_size_bytes",
        262_144,
        unit="bytes",
        description="Structural ceiling on a memo; 0 is off.",
    ),
    _structural(
        "SEARCH_ATTRIBUTE_SIZE_BYTES",
        "search_attribute_size_bytes",
        40_960,
        unit="bytes",
        description="Structural ceiling on all search attributes together; 0 is off.",
    ),
    _structural(
        "HISTORY_TRANSACTION_SIZE",
        "history_transaction_size",
        5000,
        unit="events",
        description="Most history events that one command batch may write; 0 is off.",
    ),
    Variable(
        "DW_V2_LIMIT_WARNING_THRESHOLD_PERCENT",
        T.INTEGER,
        "structural_limits.warning_threshold_percent",
        default=80,
        unit="percent",
        minimum=0,
        maximum=100,
        on_invalid=OnInvalid.CLAMP,
        origin=Origin.PACKAGE,
        description="Share of a structural limit at which a warning is logged.",
    ),
)


def _threshold(
    name: str,
    field: str,
    default: int,
    *,
    unit: str,
    description: str,
    origin: Origin = Origin.LATER,
) -> Variable:
    return Variable(
        name,
        T.INTEGER,
        f"history.{field}",
        default=default,
        unit=unit,
        minimum=0,
        origin=origin,
        description=description,
    )


HISTORY_VARIABLES = (
    Variable(
        "DW_MAX_HISTORY_EVENTS",
        T.INTEGER,
        "history.max_events",
        default=50_000,
        unit="events",
        minimum=1,
        alias="WORKFLOW_MAX_HISTORY_EVENTS",
        description="History length at which a run must continue as new.",
    ),
    Variable(
        "DW_HISTORY_RETENTION_DAYS",
        T.INTEGER,
        "history.retention_days",
        default=30,
        unit="days",
        minimum=1,
        maximum=365,
        alias="WORKFLOW_HISTORY_RETENTION_DAYS",
        description="How long closed runs keep their history in namespaces that "
        "set nothing else.",
    ),
    Variable(
        "DW_HISTORY_PAGE_SIZE_DEFAULT",
        T.INTEGER,
        "history.page_size_default",
        default=Derived(
            "500, at most DW_HISTORY_PAGE_SIZE_MAX",
            lambda lookup: min(500, lookup("DW_HISTORY_PAGE_SIZE_MAX")),
        ),
        unit="events",
        minimum=1,
        description="Page length of history reads that ask for none.",
    ),
    Variable(
        "DW_HISTORY_PAGE_SIZE_MAX",
        T.INTEGER,
        "history.page_size_max",
        default=1000,
        unit="events",
        minimum=1,
        description="Longest page of a history read.",
    ),
    _threshold(
        "DW_V2_CONTINUE_AS_NEW_EVENT_THRESHOLD",
        "continue_as_new_event_threshold",
        10_000,
        unit="events",
        origin=Origin.PACKAGE,
        description="History length from which workers are advised to continue as new.",
    ),
    _threshold(
        "DW_V2_CONTINUE_AS_NEW_SIZE_BYTES_THRESHOLD",
        "continue_as_new_size_bytes_threshold",
        5_242_880,
        unit="bytes",
        origin=Origin.PACKAGE,
        description="History size from which workers are advised to continue as new.",
    ),
    _threshold(
        "DW_V2_CONTINUE_AS_NEW_FAN_OUT_THRESHOLD",
        "continue_as_new_fan_out_threshold",
        200,
        unit="branches",
        description="Fan-out from which workers are advised to continue as new.",
    ),
    _threshold(
        "DW_V2_HISTORY_EVENT_WARNING_THRESHOLD",
        "event_warning_threshold",
        8000,
        unit="events",
        description="History length that counts as a warning in operator metrics.",
    ),
    _threshold(
        "DW_V2_HISTORY_SIZE_BYTES_WARNING_THRESHOLD",
        "size_bytes_warning_threshold",
        4_194_304,
        unit="bytes",
        description="History size that counts as a warning in operator metrics.",
    ),
    _threshold(
        "DW_V2_HISTORY_FAN_OUT_WARNING_THRESHOLD",
        "fan_out_warning_threshold",
        160,
        unit="branches",
        description="Fan-out that counts as a warning in operator metrics.",
    ),
    Variable(
        "DW_V2_HISTORY_EXPORT_SIGNING_KEY",
        T.STRING,
        "history.export_signing_key",
        is_secret=True,
        origin=Origin.PACKAGE,
        description="HMAC key that signs exported histories.",
    ),
    Variable(
        "DW_V2_HISTORY_EXPORT_SIGNING_KEY_ID",
        T.STRING,
        "history.export_signing_key_id",
        origin=Origin.PACKAGE,
        description="Identifier of the signing key, recorded in signed exports.",
    ),
    Variable(
        "DW_SERIALIZER",
        T.STRING,
        "engine.configured_codec",
        default="avro",
        alias="WORKFLOW_SERIALIZER",
        description="New runs always use Avro; `dwserver doctor` tells of another "
        "word.",
    ),
)

ENGINE_VARIABLES = (
    Variable(
        "DW_BUFFER_MESSAGES_WHILE_LEASED",
        T.BOOLEAN,
        "engine.buffer_messages_while_leased",
        default=True,
        origin=Origin.OWN,
        description="Append signals and updates that arrive during a workflow "
        "task after that task's own events.",
    ),
    Variable(
        "DW_REPLAY_COMMAND_DEDUP",
        T.BOOLEAN,
        "engine.replay_command_dedup",
        default=True,
        origin=Origin.OWN,
        description="Recognise commands that an SDK sends again while their "
        "steps are open.",
    ),
    Variable(
        "DW_PARALLEL_FAIL_FAST",
        T.BOOLEAN,
        "engine.parallel_fail_fast",
        default=False,
        origin=Origin.OWN,
        description="Wake a workflow at the first failed member of a parallel "
        "batch instead of when all are closed.",
    ),
    Variable(
        "DW_RUN_CACHE_SIZE",
        T.INTEGER,
        "engine.run_cache_size",
        default=10_000,
        unit="runs",
        minimum=0,
        origin=Origin.OWN,
        description="Runs whose hot state this process keeps in memory; 0 is off.",
    ),
    Variable(
        "DW_HISTORY_CACHE_BYTES",
        T.INTEGER,
        "engine.history_cache_bytes",
        default=67_108_864,
        unit="bytes",
        minimum=0,
        origin=Origin.OWN,
        description="Memory for recent history used to assemble poll answers; 0 "
        "is off.",
    ),
    Variable(
        "DW_V2_UPDATE_WAIT_COMPLETION_TIMEOUT_SECONDS",
        T.INTEGER,
        "engine.update_wait_timeout_seconds",
        default=10,
        unit="seconds",
        minimum=0,
        origin=Origin.PACKAGE,
        description="How long an update request waits for its result by default.",
    ),
    Variable(
        "DW_V2_UPDATE_WAIT_POLL_INTERVAL_MS",
        T.INTEGER,
        "engine.update_wait_poll_interval_ms",
        default=50,
        unit="milliseconds",
        minimum=1,
        origin=Origin.PACKAGE,
        description="Interval at which a waiting update rechecks durable state "
        "when no wake arrives.",
    ),
)

"""What can be wrong with requests of workers, field by field."""

from __future__ import annotations

from dwserver.protocol.durations import MAX_DURATION_SECONDS
from tests.http.input_cases import (
    ABSENT,
    MISSING,
    MISSING_ANY,
    NO_ARRAY,
    NO_LIST,
    NO_NUMBER,
    NO_OBJECT,
    NO_TEXT,
    Body,
    Wrong,
    boolean,
    integer,
    text,
    word,
)

MAX_COUNT = 2**31 - 1

REGISTER: Body = {"worker_id": "worker-1", "task_queue": "orders", "runtime": "python"}
STATE_TABLE = (
    Wrong("task_slots", NO_OBJECT),
    *(
        integer(f"task_slots.{slot}_available", least=0, most=MAX_COUNT)
        for slot in ("workflow", "activity", "session")
    ),
    Wrong("process_metrics", NO_OBJECT),
    Wrong("process_metrics.cpu_percent", (*NO_NUMBER, -1)),
    *(
        integer(f"process_metrics.{name}", least=0)
        for name in ("memory_bytes", "process_uptime_seconds", "process_id")
    ),
    text("process_metrics.host", longest=255),
    text("process_metrics.process_started_at", longest=64),
    integer("heartbeat_interval_seconds", least=1, most=3600),
)
REGISTER_TABLE = (
    text("worker_id", longest=255),
    text("task_queue", longest=255, required=True),
    word("runtime", required=True),
    text("sdk_version", longest=64),
    text("build_id", longest=255),
    Wrong("supported_workflow_types", NO_LIST),
    Wrong(
        "supported_workflow_types",
        (["a", 7], ["a", None], ["a", ["b"]]),
        path="supported_workflow_types.1",
    ),
    Wrong("supported_activity_types", NO_LIST),
    Wrong("supported_activity_types", ([7],), path="supported_activity_types.0"),
    Wrong("workflow_definition_fingerprints", NO_ARRAY),
    Wrong(
        "workflow_definition_fingerprints",
        ({"orders.Ship": 7}, {"orders.Ship": ["f"]}, {"orders.Ship": "f" * 256}),
        path="workflow_definition_fingerprints.orders.Ship",
    ),
    integer("max_concurrent_workflow_tasks", least=0, most=MAX_COUNT),
    integer("max_concurrent_activity_tasks", least=0, most=MAX_COUNT),
    integer("max_concurrent_worker_sessions", least=1, most=MAX_COUNT),
    Wrong("capabilities", NO_ARRAY),
    Wrong("capability_manifest", NO_OBJECT),
    Wrong("workflow_command_contracts", NO_OBJECT),
    *STATE_TABLE,
)

POLL: Body = {"worker_id": "worker-1", "task_queue": "orders", "timeout_seconds": 0}
POLL_TABLE = (
    text("worker_id", longest=255, required=True),
    text("task_queue", longest=255, required=True),
    text("build_id", longest=255),
    text("poll_request_id", longest=255),
    Wrong("timeout_seconds", NO_NUMBER),
)
WORKFLOW_POLL_TABLE = (
    *POLL_TABLE,
    integer("history_page_size", least=1, most=1000),
    text("accept_history_encoding", longest=64),
)

LEASE_TABLE = (
    text("lease_owner", required=True),
    integer("workflow_task_attempt", least=1, required=True),
)


def identifier(field: str, *, required: bool = False) -> Wrong:
    """An identifier of a command: never blank."""
    values = (*NO_TEXT, "x" * 256, "", "  ")
    return Wrong(field, (*values, *(MISSING_ANY if required else ())))


def seconds(field: str, *, least: int, required: bool = False) -> Wrong:
    return integer(field, least=least, most=MAX_DURATION_SECONDS, required=required)


def payload(field: str) -> tuple[Wrong, ...]:
    return (
        Wrong(field, ({"codec": "zip", "blob": "AAAA"},), path=f"{field}.codec"),
        Wrong(field, ({"codec": "avro", "blob": 7},), path=f"{field}.blob"),
        Wrong(
            field,
            ({"codec": "avro", "external_storage": {}},),
            path=f"{field}.external_storage",
        ),
    )


COMMANDS: dict[str, tuple[Body, tuple[Wrong, ...]]] = {
    "none": (
        {"type": "complete_workflow"},
        (
            Wrong("commands", (ABSENT, None, "text", 7, {"a": 1})),
            Wrong("commands.0.type", (*NO_TEXT, *MISSING[:3], "levitate")),
            Wrong("commands.0", (7, "text", None, []), path="commands.0.type"),
        ),
    ),
    "schedule_activity": (
        {"type": "schedule_activity", "activity_type": "orders.Charge"},
        (
            identifier("commands.0.activity_type", required=True),
            identifier("commands.0.queue"),
            identifier("commands.0.task_queue"),
            identifier("commands.0.connection"),
            *payload("commands.0.arguments"),
            *payload("commands.0.input"),
            Wrong("commands.0.payload_codec", ("zip", 7)),
            Wrong("commands.0.retry_policy", ("text", 7, ["a"])),
            integer("commands.0.retry_policy.max_attempts", least=1, most=MAX_COUNT),
            Wrong("commands.0.retry_policy.backoff_seconds", ("text", 7, {"a": 1})),
            Wrong(
                "commands.0.retry_policy.backoff_seconds",
                ([1, -1], [1, "soon"], [1, 1.5]),
                path="commands.0.retry_policy.backoff_seconds.1",
            ),
            Wrong("commands.0.retry_policy.non_retryable_error_types", ("text", 7)),
            Wrong(
                "commands.0.retry_policy.non_retryable_error_types",
                ([7], [""], [None]),
                path="commands.0.retry_policy.non_retryable_error_types.0",
            ),
            *(
                seconds(f"commands.0.{kind}", least=1)
                for kind in (
                    "start_to_close_timeout",
                    "schedule_to_start_timeout",
                    "schedule_to_close_timeout",
                    "heartbeat_timeout",
                )
            ),
            # Fields of other commands.
            Wrong("commands.0.delay_seconds", (5,)),
            Wrong("commands.0.run_timeout_seconds", (5,)),
            Wrong("commands.0.non_retryable", (True,)),
        ),
    ),
    "start_timer": (
        {"type": "start_timer", "delay_seconds": 5},
        (
            seconds("commands.0.delay_seconds", least=0, required=True),
            Wrong("commands.0.retry_policy", ({"max_attempts": 2},)),
            Wrong("commands.0.heartbeat_timeout", (5,)),
            Wrong("commands.0.parallel_group_path", ([], "text")),
        ),
    ),
    "complete_workflow": (
        {"type": "complete_workflow"},
        (*payload("commands.0.result"), Wrong("commands.0.delay_seconds", (5,))),
    ),
    "fail_workflow": (
        {"type": "fail_workflow", "message": "no stock"},
        (
            Wrong("commands.0.message", (*NO_TEXT, *MISSING)),
            Wrong("commands.0.exception_type", NO_TEXT),
            Wrong("commands.0.exception_class", NO_TEXT),
            Wrong("commands.0.exception", ("text", 7, ["a"])),
            boolean("commands.0.non_retryable"),
        ),
    ),
    "continue_as_new": (
        {"type": "continue_as_new"},
        (
            identifier("commands.0.workflow_type"),
            identifier("commands.0.queue"),
            identifier("commands.0.task_queue"),
            *payload("commands.0.arguments"),
        ),
    ),
}

# A failure without a message lacks both.
FAILURE = (
    Wrong("failure", NO_OBJECT, also=("failure.message",)),
    Wrong("failure.message", (*NO_TEXT, *MISSING), also=("failure",)),
)

ATTEMPT_TABLE = (
    text("activity_attempt_id", required=True),
    text("lease_owner", required=True),
)
COMPLETE_ACTIVITY_TABLE = (*ATTEMPT_TABLE, *payload("result"))
FAIL_ACTIVITY_TABLE = (
    *ATTEMPT_TABLE,
    *FAILURE,
    text("failure.type"),
    text("failure.class"),
    text("failure.stack_trace"),
    boolean("failure.non_retryable"),
    boolean("failure.retryable"),
    boolean("failure.cancelled"),
    boolean("failure.malformed_output"),
    word("failure.kind"),
    word("failure.timeout_type"),
    *payload("failure.details"),
)
FAIL_WORKFLOW_TABLE = (
    *LEASE_TABLE,
    *FAILURE,
    text("failure.type"),
    text("failure.stack_trace"),
)
QUERY_TABLE = (
    Wrong("input", NO_ARRAY),
    Wrong("input", ({"codec": "zip", "blob": "AAAA"},), path="input.codec"),
    Wrong("input", ({"codec": "avro", "blob": 7},), path="input.blob"),
)
QUERY_LEASE_TABLE = (
    text("lease_owner", required=True),
    integer("query_task_attempt", least=1, required=True),
)
COMPLETE_QUERY_TABLE = (
    *QUERY_LEASE_TABLE,
    Wrong("result_envelope", NO_OBJECT),
    text("result_envelope.codec", longest=64, required=True),
    text("result_envelope.blob", required=True),
)
FAIL_QUERY_TABLE = (
    *QUERY_LEASE_TABLE,
    *FAILURE,
    text("failure.reason", longest=255),
    text("failure.type"),
    text("failure.stack_trace"),
)
HEARTBEAT_ACTIVITY_TABLE = (
    *ATTEMPT_TABLE,
    text("message", longest=280),
    Wrong("current", NO_NUMBER),
    Wrong("total", NO_NUMBER),
    text("unit", longest=64),
    Wrong("details", ("text", 7, True)),
)

"""Every field of the requests that change something, with every kind of wrong value:
the contract's error in the envelope of its plane, and nothing has changed.

``spec/control-plane-api.md §5.2``, ``spec/worker-protocol.md §4–9``.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

import pytest

from dwserver.http.control_plane import (
    namespaces,
    search_attributes,
    storage,
    workflow_query,
)
from dwserver.http.control_plane.command_fields import (
    REASON_FIELDS,
    REPAIR_FIELDS,
    SIGNAL_FIELDS,
    UPDATE_FIELDS,
)
from dwserver.http.control_plane.start_fields import (
    SIGNAL_WITH_START_FIELDS,
    START_FIELDS,
)
from dwserver.http.worker import activity_tasks, polls, query_tasks, workflow_tasks
from dwserver.http.worker.registration_fields import REGISTER_FIELDS
from dwserver.protocol.control_plane import UNSUPPORTED_START_FIELDS
from dwserver.protocol.durations import MAX_DURATION_SECONDS
from dwserver.protocol.validation import Field
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
    Case,
    Wrong,
    boolean,
    cases,
    integer,
    text,
    word,
)
from tests.support.json_http import (
    CONTROL_PLANE_HEADER,
    WORKER_HEADER,
    Answer,
    JsonHttp,
    operator,
    read_history,
)
from tests.support.processes import TEST_TOKEN, StartServer

VERSION = "1.20"
MAX_COUNT = 2**31 - 1

START: Body = {"workflow_id": "fresh", "workflow_type": "orders.Ship"}
START_TABLE = (
    text("workflow_type", longest=255, required=True),
    text("workflow_id", longest=128),
    Wrong("workflow_id", ("with space", "a/b", "naïve")),
    text("task_queue", longest=255),
    Wrong("input", NO_ARRAY),
    Wrong("input", ({"codec": "zip", "blob": "AAAA"},), path="input.codec"),
    Wrong("input", ({"codec": "", "blob": "AAAA"},), path="input.codec"),
    Wrong("input", ({"codec": "avro", "blob": 7},), path="input.blob"),
    Wrong("input", ({"codec": "avro", "blob": "no base64!"},), path="input.blob"),
    Wrong(
        "input",
        ({"codec": "avro", "external_storage": {}},),
        path="input.external_storage",
    ),
    text("business_key", longest=255),
    Wrong("memo", NO_ARRAY),
    Wrong("search_attributes", NO_ARRAY),
    Wrong(
        "search_attributes",
        (
            ["eu"],
            {"": "eu"},
            {"a b": "eu"},
            {"k" * 129: "eu"},
            {"Region": "r" * 2049},
            {"Region": ["eu", 1]},
            {"Region": {"eu": 1}},
            {"Region": [["eu"]]},
            {f"k{n}": n for n in range(101)},
            {f"k{n}": "v" * 2048 for n in range(21)},
            # Of another type than the namespace or the system says.
            {"Amount": "7"},
            {"Amount": [7]},
            {"StartTime": "soon"},
        ),
    ),
    Wrong("memo", ({"m": "x" * 262_144}, {"m": [{"$dw.plain": "x"}]})),
    Wrong("duplicate_policy", (*NO_TEXT, "replace")),
    integer("execution_timeout_seconds", least=1, most=MAX_DURATION_SECONDS),
    integer("run_timeout_seconds", least=1, most=MAX_DURATION_SECONDS),
    integer("priority", least=0, most=9),
    text("fairness_key", longest=64),
    Wrong("fairness_key", ("with space",)),
    integer("fairness_weight", least=1, most=1000),
    *(Wrong(name, (None, 1, "value")) for name in sorted(UNSUPPORTED_START_FIELDS)),
)

ATTRIBUTE: Body = {"name": "Region", "type": "keyword"}
ATTRIBUTE_TABLE = (
    text("name", longest=128, required=True),
    Wrong("name", ("1a", "a-b", "a b", "naïve", "a\n!")),
    word("type", required=True),
    Wrong("type", ("Keyword", "string")),
)
POLICY: Body = {"driver": "s3"}
POLICY_TABLE = (
    word("driver", required=True),
    boolean("enabled"),
    integer("threshold_bytes", least=1),
    Wrong("config", NO_OBJECT),
    text("config.uri", longest=2048),
    text("config.bucket", longest=255),
    text("config.disk", longest=255),
    text("config.prefix", longest=1024),
    text("config.region", longest=128),
    text("config.endpoint", longest=2048),
    text("config.auth_profile", longest=255),
)
STORAGE_TEST: Body = {"small_payload_bytes": 1, "large_payload_bytes": 1}
STORAGE_TEST_TABLE = (
    word("driver"),
    integer("small_payload_bytes", least=1, most=1_048_576, required=True),
    integer("large_payload_bytes", least=1, most=16_777_216, required=True),
)

ENVELOPE: Body = {"codec": "avro", "blob": "AAI3Ag=="}
REQUEST_ID = text("request_id", longest=255)
MESSAGE_INPUT = (
    Wrong("input", NO_ARRAY),
    Wrong("input", ({"codec": "zip", "blob": "AAAA"},), path="input.codec"),
    Wrong("input", ({"codec": "avro", "blob": 7},), path="input.blob"),
    Wrong("input", ({"codec": "avro", "blob": "no base64!"},), path="input.blob"),
    # A number is no list of arguments.
    Wrong("input", ({"codec": "avro", "blob": "AAI1Ag=="},), path="input.blob"),
)
REASON_TABLE = (text("reason", longest=1000), REQUEST_ID)
WITH_START: Body = {"workflow_type": "orders.Ship"}
WITH_START_TABLE = (
    *(w for w in START_TABLE if w.field not in {"workflow_id", "request_id"}),
    Wrong("signal_input", NO_ARRAY),
    Wrong("signal_input", ({"codec": "", "blob": ""},), path="signal_input.codec"),
    REQUEST_ID,
)
# Operator commands to a workflow id: path, operation, a good body, wrong values.
OPERATOR_COMMANDS: tuple[tuple[str, str, Body, tuple[Wrong, ...]], ...] = (
    ("signal/go", "signal", {}, (*MESSAGE_INPUT, REQUEST_ID)),
    (
        "update/go",
        "update",
        {},
        (
            *MESSAGE_INPUT,
            REQUEST_ID,
            word("wait_for"),
            integer("wait_timeout_seconds", least=1, most=MAX_DURATION_SECONDS),
            Wrong("wait_policy", (None, "accepted")),
        ),
    ),
    ("cancel", "cancel", {}, REASON_TABLE),
    ("terminate", "terminate", {}, REASON_TABLE),
    ("archive", "archive", {}, REASON_TABLE),
    ("repair", "repair", {}, (REQUEST_ID,)),
    ("signal-with-start/go", "signal", WITH_START, WITH_START_TABLE),
)

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

# Anything goes there.
FREE = {"commands", "failure.code", "result", "failure.details"}


@pytest.mark.parametrize(
    ("fields", "table"),
    [
        (START_FIELDS, START_TABLE),
        (SIGNAL_WITH_START_FIELDS, (*WITH_START_TABLE, text("workflow_id"))),
        (SIGNAL_FIELDS, OPERATOR_COMMANDS[0][3]),
        (UPDATE_FIELDS, OPERATOR_COMMANDS[1][3]),
        (REASON_FIELDS, REASON_TABLE),
        (REPAIR_FIELDS, (REQUEST_ID,)),
        (REGISTER_FIELDS, REGISTER_TABLE),
        (polls.WORKFLOW_POLL_FIELDS, WORKFLOW_POLL_TABLE),
        (workflow_tasks.LEASE_FIELDS, LEASE_TABLE),
        (workflow_tasks.FAIL_FIELDS, FAIL_WORKFLOW_TABLE),
        (activity_tasks.COMPLETE_FIELDS, COMPLETE_ACTIVITY_TABLE),
        (activity_tasks.FAIL_FIELDS, FAIL_ACTIVITY_TABLE),
        (activity_tasks.HEARTBEAT_FIELDS, HEARTBEAT_ACTIVITY_TABLE),
        (workflow_query.QUERY_FIELDS, QUERY_TABLE),
        (query_tasks.COMPLETE_FIELDS, COMPLETE_QUERY_TABLE),
        (query_tasks.FAIL_FIELDS, FAIL_QUERY_TABLE),
        (search_attributes.DEFINE_FIELDS, ATTRIBUTE_TABLE),
        (namespaces.STORAGE_FIELDS, POLICY_TABLE),
        (storage.TEST_FIELDS, STORAGE_TEST_TABLE),
    ],
    ids=[
        "start",
        "signal with start",
        "signal",
        "update",
        "reason",
        "repair",
        "register",
        "poll",
        "lease",
        "fail",
        "done",
        "failed",
        "beat",
        "query",
        "answered",
        "unanswered",
        "attribute",
        "policy",
        "storage",
    ],
)
def test_the_tables_name_every_field(
    fields: tuple[Field, ...], table: tuple[Wrong, ...]
) -> None:
    named = {wrong.field for wrong in table}
    assert {field.name for field in fields} - FREE - named == set()


@dataclass(frozen=True, slots=True)
class Leases:
    """A leased workflow task of ``order-1``, a leased activity of ``order-2``."""

    workflow_path: str
    workflow: Body
    activity_path: str
    activity: Body


@dataclass(frozen=True, slots=True)
class Planes:
    control: JsonHttp
    worker: JsonHttp

    def post(self, path: str, body: Body) -> Answer:
        return self.worker.request("POST", f"/api/worker/{path}", body)

    def prepare(self) -> Leases:
        self.post("register", REGISTER).expect(201)
        amount = {"name": "Amount", "type": "int"}
        self.control.request("POST", "/api/search-attributes", amount).expect(201)
        leased = [self._leased(workflow_id) for workflow_id in ("order-1", "order-2")]
        command = {"type": "schedule_activity", "activity_type": "orders.Charge"}
        done = {**leased[1][1], "commands": [command]}
        self.post(f"{leased[1][0]}/complete", done).expect(200)
        task = self.post("activity-tasks/poll", POLL).expect(200)["task"]
        return Leases(
            *leased[0],
            f"activity-tasks/{task['task_id']}",
            {
                "activity_attempt_id": task["activity_attempt_id"],
                "lease_owner": "worker-1",
            },
        )

    def _leased(self, workflow_id: str) -> tuple[str, Body]:
        start = {
            "workflow_id": workflow_id,
            "workflow_type": "orders.Ship",
            "task_queue": "orders",
        }
        self.control.request("POST", "/api/workflows", start).expect(201)
        task = self.post("workflow-tasks/poll", POLL).expect(200)["task"]
        lease = {
            "lease_owner": "worker-1",
            "workflow_task_attempt": task["workflow_task_attempt"],
        }
        return f"workflow-tasks/{task['task_id']}", lease

    def state(self) -> list[Any]:
        """All that the control plane shows of the workflows and the worker."""
        shown: list[Any] = [
            self.control.request("GET", "/api/workflows").expect(200),
            self.control.request("GET", "/api/workers/worker-1").expect(200),
            self.control.request("GET", "/api/search-attributes").expect(200),
            self.control.request("GET", "/api/namespaces").expect(200),
        ]
        for workflow_id in ("order-1", "order-2"):
            path = f"/api/workflows/{workflow_id}"
            described = self.control.request("GET", path).expect(200)
            shown.append(described)
            shown.append(read_history(self.control, workflow_id, described["run_id"]))
        return shown


MANAGEMENT = ""


def refused_in_envelope(
    answer: Answer, case: Case, *, operation: str | None
) -> list[str]:
    """What is wrong with the refusal of one field; ``operation`` is None on the worker
    plane, :data:`MANAGEMENT` where answers have no nested object."""
    body, problems = answer.body, []
    if answer.status != 422:
        return [f"status {answer.status}: {str(body)[:200]}"]
    if body.get("reason") != "validation_failed":
        problems.append(f"reason {body.get('reason')}")
    errors = body.get("validation_errors")
    if errors != body.get("errors"):
        problems.append("errors and validation_errors differ")
    paths = set(errors) if isinstance(errors, dict) else set()
    if case.path not in paths or not paths <= {case.path, *case.also}:
        problems.append(f"errors at {errors}")
    elif not all(isinstance(text, str) and text for text in errors[case.path]):
        problems.append(f"texts {errors[case.path]}")
    if not body.get("message"):
        problems.append("no message")
    if operation is None:
        if body.get("protocol_version") != VERSION or "server_capabilities" not in body:
            problems.append("no worker envelope")
        if answer.headers.get(WORKER_HEADER.lower()) != VERSION:
            problems.append("no worker header")
    else:
        nested = body.get("control_plane", {}).get("operation", MANAGEMENT)
        if nested != operation:
            problems.append("no control-plane envelope")
        if answer.headers.get(CONTROL_PLANE_HEADER.lower()) != "2":
            problems.append("no control-plane header")
    return problems


@pytest.fixture
def planes(start_server: StartServer, store_url: str) -> Planes:
    server = start_server(store_url)
    headers = {"Authorization": f"Bearer {TEST_TOKEN}", WORKER_HEADER: VERSION}
    return Planes(
        operator(server.base_url, TEST_TOKEN), JsonHttp(server.base_url, headers)
    )


def check(
    name: str,
    wrong: Iterable[Case],
    send: Callable[[Body], Answer],
    *,
    operation: str | None = None,
) -> list[str]:
    return [
        f"{name}: {case.label}: {problem}"
        for case in wrong
        for problem in refused_in_envelope(send(case.body), case, operation=operation)
    ]


def check_operator_commands(planes: Planes) -> list[str]:
    """For a workflow id, and for its run."""
    described = planes.control.request("GET", "/api/workflows/order-1").expect(200)
    run = f"order-1/runs/{described['run_id']}"
    problems = []
    for path, operation, body, table in OPERATOR_COMMANDS:
        for target in ("order-1", run):
            if target is run and path.startswith("signal-with-start"):
                continue
            full = f"/api/workflows/{target}/{path}"
            problems += check(
                full,
                cases(body, table),
                lambda b, p=full: planes.control.request("POST", p, b),
                operation=operation,
            )
    return problems


def test_wrong_input_is_refused_and_changes_nothing(planes: Planes) -> None:
    leases = planes.prepare()
    before = planes.state()
    post = planes.post
    problems = check(
        "start",
        cases(START, START_TABLE),
        lambda body: planes.control.request("POST", "/api/workflows", body),
        operation="start",
    )
    problems += check(
        "query",
        cases({}, QUERY_TABLE),
        lambda body: planes.control.request(
            "POST", "/api/workflows/order-1/query/state", body
        ),
        operation="query",
    )
    for method, path, body, table in (
        ("POST", "/api/search-attributes", ATTRIBUTE, ATTRIBUTE_TABLE),
        ("PUT", "/api/namespaces/default/external-storage", POLICY, POLICY_TABLE),
        ("POST", "/api/storage/test", STORAGE_TEST, STORAGE_TEST_TABLE),
    ):
        problems += check(
            path,
            cases(body, table),
            lambda b, m=method, p=path: planes.control.request(m, p, b),
            operation=MANAGEMENT,
        )
    problems += check(
        "register", cases(REGISTER, REGISTER_TABLE), lambda b: post("register", b)
    )
    for kind, table in (
        ("workflow", WORKFLOW_POLL_TABLE),
        ("activity", POLL_TABLE),
        ("query", POLL_TABLE),
    ):
        path = f"{kind}-tasks/poll"
        problems += check(path, cases(POLL, table), lambda b, p=path: post(p, b))
    complete = f"{leases.workflow_path}/complete"
    for name, (command, table) in COMMANDS.items():
        body = {**leases.workflow, "commands": [command]}
        problems += check(
            f"complete {name}",
            cases(body, (*LEASE_TABLE, *table)),
            lambda b: post(complete, b),
        )
    failed = {**leases.workflow, "failure": {"message": "a bug"}}
    problems += check(
        "fail",
        cases(failed, FAIL_WORKFLOW_TABLE),
        lambda b: post(f"{leases.workflow_path}/fail", b),
    )
    for verb, table, extra in (
        ("complete", COMPLETE_ACTIVITY_TABLE, {}),
        ("fail", FAIL_ACTIVITY_TABLE, {"failure": {"message": "no stock"}}),
        ("heartbeat", HEARTBEAT_ACTIVITY_TABLE, {}),
    ):
        path = f"{leases.activity_path}/{verb}"
        problems += check(
            f"activity {verb}",
            cases({**leases.activity, **extra}, table),
            lambda b, p=path: post(p, b),
        )
    for verb, table, extra in (
        ("complete", COMPLETE_QUERY_TABLE, {"result_envelope": ENVELOPE}),
        ("fail", FAIL_QUERY_TABLE, {"failure": {"message": "no answer"}}),
    ):
        path = f"query-tasks/unknown/{verb}"
        problems += check(
            f"query {verb}",
            cases({"lease_owner": "w", "query_task_attempt": 1, **extra}, table),
            lambda b, p=path: post(p, b),
        )
    assert not problems, "\n".join(problems)
    assert planes.state() == before
    # The leases are still good.
    done = {**leases.workflow, "commands": [{"type": "complete_workflow"}]}
    post(complete, done).expect(200)
    post(f"{leases.activity_path}/complete", leases.activity).expect(200)

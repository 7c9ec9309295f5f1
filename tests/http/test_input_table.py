"""Every field of the requests that change something, with every kind of wrong value:
the contract's error in the envelope of its plane, and nothing has changed.

``spec/control-plane-api.md §5.2``, ``spec/worker-protocol.md §4–9``.
"""

from __future__ import annotations

import pytest

from dwserver.http.control_plane import (
    namespaces,
    search_attributes,
    storage,
    task_queues,
    workflow_import,
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
from dwserver.protocol.validation import Field
from tests.http.input_cases import Wrong, cases, text
from tests.http.input_planes import Leases, Planes
from tests.http.operator_inputs import (
    ATTRIBUTE,
    ATTRIBUTE_TABLE,
    COHORT,
    COHORT_TABLE,
    ENVELOPE,
    IMPORT,
    IMPORT_TABLE,
    OPERATOR_COMMANDS,
    POLICY,
    POLICY_TABLE,
    REASON_TABLE,
    REQUEST_ID,
    START,
    START_TABLE,
    STORAGE_TEST,
    STORAGE_TEST_TABLE,
    WITH_START_TABLE,
)
from tests.http.refusals import MANAGEMENT, VERSION, check
from tests.http.worker_inputs import (
    COMMANDS,
    COMPLETE_ACTIVITY_TABLE,
    COMPLETE_QUERY_TABLE,
    FAIL_ACTIVITY_TABLE,
    FAIL_QUERY_TABLE,
    FAIL_WORKFLOW_TABLE,
    HEARTBEAT_ACTIVITY_TABLE,
    LEASE_TABLE,
    POLL,
    POLL_TABLE,
    QUERY_TABLE,
    REGISTER,
    REGISTER_TABLE,
    WORKFLOW_POLL_TABLE,
)
from tests.support.json_http import WORKER_HEADER, JsonHttp, operator
from tests.support.processes import TEST_TOKEN, StartServer

IMPORT_PATH = "/api/workflows/import/embedded-v2"
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
        (task_queues.COHORT_FIELDS, COHORT_TABLE),
        (workflow_import.OPTIONS, IMPORT_TABLE),
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
        "cohort",
        "import",
    ],
)
def test_the_tables_name_every_field(
    fields: tuple[Field, ...], table: tuple[Wrong, ...]
) -> None:
    named = {wrong.field for wrong in table}
    assert {field.name for field in fields} - FREE - named == set()


@pytest.fixture
def planes(start_server: StartServer, store_url: str) -> Planes:
    server = start_server(store_url)
    headers = {"Authorization": f"Bearer {TEST_TOKEN}", WORKER_HEADER: VERSION}
    return Planes(
        operator(server.base_url, TEST_TOKEN), JsonHttp(server.base_url, headers)
    )


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


def check_control_plane(planes: Planes) -> list[str]:
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
        ("POST", IMPORT_PATH, IMPORT, IMPORT_TABLE),
        *(
            (
                "POST",
                f"/api/task-queues/orders/build-ids/{verb}",
                COHORT,
                COHORT_TABLE,
            )
            for verb in ("drain", "resume")
        ),
    ):
        problems += check(
            path,
            cases(body, table),
            lambda b, m=method, p=path: planes.control.request(m, p, b),
            operation=MANAGEMENT,
        )
    return problems


def check_workflow_tasks(planes: Planes, leases: Leases) -> list[str]:
    """Registration and polls as well."""
    post = planes.post
    problems = check(
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
    return problems


def check_activities_and_queries(planes: Planes, leases: Leases) -> list[str]:
    post, problems = planes.post, []
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
    return problems


def test_wrong_input_is_refused_and_changes_nothing(planes: Planes) -> None:
    leases = planes.prepare()
    before = planes.state()
    problems = [
        *check_control_plane(planes),
        *check_operator_commands(planes),
        *check_workflow_tasks(planes, leases),
        *check_activities_and_queries(planes, leases),
    ]
    assert not problems, "\n".join(problems)
    assert planes.state() == before
    # The leases are still good.
    done = {**leases.workflow, "commands": [{"type": "complete_workflow"}]}
    planes.post(f"{leases.workflow_path}/complete", done).expect(200)
    planes.post(f"{leases.activity_path}/complete", leases.activity).expect(200)

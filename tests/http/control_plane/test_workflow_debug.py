"""Debug: what stands in the way of a run."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import orjson
import pytest

from dwserver.engine.model import Activity, Failure, RunState, Timer, Wait, Wake
from dwserver.engine.words import (
    ActivityStatus,
    ClosedReason,
    FailureCategory,
    RunStatus,
    TaskKind,
    TaskStatus,
    TimerKind,
    TimerStatus,
    WaitFor,
    WaitStatus,
)
from dwserver.http.control_plane.workflow_debug import debug_run, debug_workflow
from dwserver.services.records import (
    QueueBacklog,
    QueuedTask,
    QueueLease,
    QueueLoad,
    QueueWorkers,
    StoredEvent,
)
from dwserver.services.run_diagnosis import RunDiagnosis
from dwserver.services.task_queues import QueueDetail, QueueView
from dwserver.services.workflows import RunDetail
from tests.http.handler_stage import MICROS, NAMESPACE, NOW, Stage
from tests.http.runs import ATTEMPT_ID, RUN_ID, TASK_ID, a_run, a_task, a_view, a_worker
from tests.support.json_http import JsonHttp, operator
from tests.support.processes import TEST_TOKEN, StartServer

PARAMS = {"workflow_id": "order-42", "run_id": RUN_ID}
EMPTY = {kind: QueueLoad(kind=kind) for kind in TaskKind}
NOTHING = QueueBacklog(loads=EMPTY)
EVENT = StoredEvent(
    id="e",
    sequence=2,
    event_type="WorkflowStarted",
    payload=b'{"a":1,"b":{}}',
    recorded_at=NOW,
    has_plain=False,
    task_id=None,
    command_id=None,
)
READY = a_task(status=TaskStatus.READY, lease_owner=None, lease_expires_at=None)
ACTIVITY = Activity(
    id="01k000000000000000activity",
    run_id=RUN_ID,
    step=1,
    batch=1,
    activity_type="orders.Charge",
    status=ActivityStatus.RUNNING,
    queue="gq",
    payload_codec="avro",
    digest="d",
    created_at=NOW,
    attempt_count=2,
    started_at=NOW,
)
ATTEMPT = a_task(
    id="01k0000000000000000attask1",
    kind=TaskKind.ACTIVITY,
    activity_id=ACTIVITY.id,
    attempt_id=ATTEMPT_ID,
    attempt=2,
    leased_at=NOW,
)
TIMER = Timer(
    id="01k000000000000000000timer",
    run_id=RUN_ID,
    step=2,
    batch=1,
    status=TimerStatus.PENDING,
    delay_seconds=60,
    fire_at=NOW + 60 * MICROS,
    task_id="01k0000000000000000ttimer1",
    created_at=NOW,
)


def diagnosis(
    *rows: Any,
    run: Any = None,
    backlog: QueueBacklog = NOTHING,
    leases: tuple[QueueLease, ...] = (),
    pollers: tuple[Any, ...] = (),
    **fields: Any,
) -> RunDiagnosis:
    run = run or a_run()
    parts: dict[str, Any] = {}
    for row in rows:
        if isinstance(row, Activity):
            parts.setdefault("activities", {})[row.step] = row
        elif isinstance(row, Timer):
            parts.setdefault("timers", {})[row.step] = row
        elif isinstance(row, Wait):
            parts.setdefault("waits", {})[row.step] = row
        else:
            parts.setdefault("tasks", {})[row.id] = row
    state = RunState(run, **parts)
    failures = fields.pop("failures", ())
    stale = sum(worker.status == "stale" for worker in pollers)
    view = QueueView(
        name="gq",
        backlog=backlog,
        workers=QueueWorkers(active=len(pollers) - stale, stale=stale),
        active_leases=dict.fromkeys(TaskKind, 0),
        now=NOW,
        overdue_after=3 * MICROS,
    )
    queue = QueueDetail(view=view, pollers=pollers, leases=leases)
    values = {
        "detail": RunDetail(a_view(run), state, failures),
        "state": state,
        "last_event": EVENT,
        "queue": queue,
        "now": NOW,
        **fields,
    }
    return RunDiagnosis(**values)


async def debugged(
    found: RunDiagnosis, query: dict[str, str] | None = None
) -> dict[str, Any]:
    answers = {"diagnosis.of_run": found, "workers.find_all": list(found.queue.pollers)}
    answer = await Stage(answers).ask(debug_workflow, params=PARAMS, query=query)
    assert answer.status == 200
    return answer.body


def codes(body: dict[str, Any]) -> list[str]:
    return [finding["code"] for finding in body["findings"]]


def finding(body: dict[str, Any], code: str) -> dict[str, Any]:
    [found] = [each for each in body["findings"] if each["code"] == code]
    return dict(found)


async def test_unknown_ones_are_not_found() -> None:
    stage = Stage({"diagnosis.of_run": None})
    answer = await stage.ask(debug_workflow, params={"workflow_id": "order-42"})
    assert (answer.status, answer.body["reason"]) == (404, "instance_not_found")
    assert stage.calls[0].arguments == (NAMESPACE, "order-42")
    answer = await stage.ask(debug_run, params=PARAMS)
    assert (answer.status, answer.body["reason"]) == (404, "run_not_found")
    assert stage.calls[1].arguments == (NAMESPACE, "order-42", RUN_ID)


async def test_work_without_workers_is_found() -> None:
    body = await debugged(diagnosis(READY))
    assert body["diagnostic_status"] == "pending_work"
    assert body["execution"]["liveness_state"] == "workflow_task_ready"
    [task] = body["pending_workflow_tasks"]
    assert (task["task_id"], task["transport_state"]) == (TASK_ID, "ready")
    assert codes(body) == ["no_active_pollers"]
    body = await debugged(diagnosis(READY, pollers=(a_worker(task_queue="gq"),)))
    assert codes(body) == []
    [poller] = body["compatibility"]["task_queue_pollers"]
    assert poller["worker_id"] == "wk1"


@pytest.mark.parametrize(
    ("fields", "state"),
    [
        ({"available_at": NOW + 1}, "scheduled"),
        ({"available_at": NOW - 3 * MICROS}, "dispatch_overdue"),
        ({"status": TaskStatus.LEASED, "lease_expires_at": NOW + 1}, "leased"),
    ],
)
async def test_how_a_task_stands(fields: dict[str, Any], state: str) -> None:
    body = await debugged(diagnosis(replace(READY, **fields)))
    [task] = body["pending_workflow_tasks"]
    assert task["transport_state"] == state
    assert task["dispatch_overdue"] is (state == "dispatch_overdue")


async def test_a_lost_lease_needs_attention() -> None:
    body = await debugged(diagnosis(a_task(lease_expires_at=NOW)))
    assert body["diagnostic_status"] == "needs_attention"
    execution = body["execution"]
    assert execution["liveness_state"] == "repair_needed"
    assert execution["repair_attention"] is True
    assert execution["task_problem_badge"]["code"] == "repair_needed"
    [task] = body["pending_workflow_tasks"]
    assert (task["lease_expired"], task["lease_owner"]) == (True, "wk1")
    assert codes(body) == [
        "no_active_pollers",
        "expired_leases",
        "task_problem",
        "repair_attention",
    ]


async def test_a_task_that_is_missing_is_shown_in_its_place() -> None:
    body = await debugged(diagnosis(run=a_run(wakes=(Wake({}),))))
    [task] = body["pending_workflow_tasks"]
    assert task["task_id"] == task["expected_task_id"] == f"missing:workflow:{RUN_ID}"
    assert (task["status"], task["transport_state"]) == ("missing", "missing")
    assert (task["synthetic"], task["task_missing"]) == (True, True)
    assert body["execution"]["liveness_state"] == "repair_needed"


async def test_a_run_whose_build_id_nobody_has_is_blocked() -> None:
    body = await debugged(diagnosis(READY, run=a_run(compatibility="build-9")))
    execution = body["execution"]
    state = "workflow_task_waiting_for_compatible_worker"
    assert execution["liveness_state"] == state
    assert execution["task_problem_badge"]["code"] == "compatibility_blocked"
    [task] = body["pending_workflow_tasks"]
    assert task["compatibility_supported_in_fleet"] is False
    assert task["compatibility_fleet_reason"]
    assert finding(body, "no_compatible_worker_for_task")["message"] == (
        "No active worker of [gq] has build id [build-9]."
    )


async def test_a_run_whose_definition_nobody_has_is_blocked() -> None:
    run = a_run(definition_fingerprint="sha256:1f")
    found = diagnosis(
        READY, run=run, lacks_definition=True, pollers=(a_worker(task_queue="gq"),)
    )
    body = await debugged(found)
    execution = body["execution"]
    state = "workflow_task_waiting_for_compatible_worker"
    assert execution["liveness_state"] == state
    assert body["diagnostic_status"] == "needs_attention"
    assert codes(body) == ["no_compatible_worker_for_task", "task_problem"]
    why = (
        "No active worker of [gq] has the definition of [orders.process] that the run "
        "began with [sha256:1f]."
    )
    assert finding(body, "no_compatible_worker_for_task")["message"] == why
    [task] = body["pending_workflow_tasks"]
    assert task["compatibility_reason"] == task["compatibility_fleet_reason"] == why


async def test_activities_wait_for_no_definition() -> None:
    ready = replace(ATTEMPT, status=TaskStatus.READY, attempt_id=None)
    body = await debugged(diagnosis(ACTIVITY, ready, lacks_definition=True))
    assert body["execution"]["liveness_state"] == "activity_task_ready"
    assert codes(body) == ["no_active_pollers"]


async def test_an_activity_shows_the_attempt_that_runs() -> None:
    body = await debugged(diagnosis(ACTIVITY, ATTEMPT))
    assert body["execution"]["liveness_state"] == "activity_task_leased"
    assert body["execution"]["wait_kind"] == "activity"
    [activity] = body["pending_activities"]
    assert activity["attempt_count"] == 2
    assert activity["current_attempt"] == {
        "activity_attempt_id": ATTEMPT_ID,
        "attempt_number": 2,
        "status": "running",
        "lease_owner": "wk1",
        "started_at": activity["started_at"],
        "lease_expires_at": activity["current_attempt"]["lease_expires_at"],
        "lease_expired": False,
    }


async def test_no_more_is_listed_than_the_limits() -> None:
    rows = [
        row
        for step in range(1, 31)
        for row in (
            replace(ACTIVITY, id=f"a{step}", step=step),
            replace(ATTEMPT, id=f"t{step}", activity_id=f"a{step}"),
        )
    ]
    failure = Failure(
        id="01k00000000000000000failure",
        run_id=RUN_ID,
        source_kind="activity_execution",
        source_id="a",
        propagation_kind="activity",
        category=FailureCategory.ACTIVITY,
        message="no",
        created_at=NOW,
    )
    body = await debugged(diagnosis(*rows, failures=(failure,) * 12))
    assert len(body["pending_activities"]) == 25
    assert len(body["recent_failures"]) == 10
    assert body["recent_failures"][0]["handled"] is True


async def test_a_timer_is_what_comes_next() -> None:
    wait = Wait(
        id="w",
        run_id=RUN_ID,
        step=2,
        batch=1,
        wait_for=WaitFor.CONDITION,
        status=WaitStatus.OPEN,
        opened_at=NOW,
        condition_key="paid",
    )
    limit = replace(TIMER, kind=TimerKind.CONDITION_TIMEOUT)
    body = await debugged(diagnosis(limit, wait))
    assert body["diagnostic_status"] == "waiting"
    assert body["execution"]["next_scheduled_event"] == {
        "source": "run_summary",
        "task_id": TIMER.task_id,
        "task_type": "timer",
        "task_status": "ready",
        "available_at": "2026-04-13T12:01:00.000000Z",
        "wait_deadline_at": "2026-04-13T12:01:00.000000Z",
    }


async def test_a_closed_run_is_terminal() -> None:
    run = a_run(
        status=RunStatus.COMPLETED, closed_reason=ClosedReason.COMPLETED, closed_at=NOW
    )
    body = await debugged(diagnosis(run=run))
    assert body["diagnostic_status"] == "terminal"
    assert body["execution"]["liveness_state"] == "closed"
    assert "wait_kind" not in body["execution"]
    assert "next_scheduled_event" not in body["execution"]
    assert (body["pending_workflow_tasks"], codes(body)) == ([], [])


@pytest.mark.parametrize("word", ["true", "1", "on", "YES"])
async def test_the_last_payload_is_shown_on_request(word: str) -> None:
    found = diagnosis(READY)
    plain = (await debugged(found))["execution"]["last_event"]
    assert plain["payload_summary"] == {
        "included": False,
        "encoding": "json",
        "size_bytes": 14,
        "top_level_type": "object",
        "top_level_key_count": 2,
        "top_level_keys": ["a", "b"],
        "top_level_keys_truncated": False,
        "preview_max_bytes": 4096,
    }
    assert "payload_preview" not in plain
    shown = (await debugged(found, {"include_last_event_payload": word}))["execution"]
    assert shown["last_event"]["payload_summary"]["included"] is True
    preview = shown["last_event"]["payload_preview"]
    assert (preview["data"], preview["truncated"]) == ('{"a":1,"b":{}}', False)
    no = await debugged(found, {"include_last_event_payload": "maybe"})
    assert "payload_preview" not in no["execution"]["last_event"]


async def test_a_long_payload_is_cut() -> None:
    names = {f"key-{n}": "ä" * 200 for n in range(30)}
    event = replace(EVENT, payload=orjson.dumps(names))
    query = {"include_last_event_payload": "1"}
    body = await debugged(diagnosis(READY, last_event=event), query)
    last = body["execution"]["last_event"]
    summary, preview = last["payload_summary"], last["payload_preview"]
    assert (summary["top_level_key_count"], len(summary["top_level_keys"])) == (30, 20)
    assert summary["top_level_keys_truncated"] is True
    assert preview["truncated"] is True
    assert preview["size_bytes"] == summary["size_bytes"] == len(event.payload)
    assert 4090 < len(preview["data"].encode()) <= 4096


@pytest.mark.parametrize(
    ("age", "spoken"), [(42, "42s"), (185, "3m05s"), (3729, "1h02m09s")]
)
async def test_the_queue_is_shown(age: int, spoken: str) -> None:
    since = NOW - age * MICROS
    loads = {
        TaskKind.WORKFLOW: QueueLoad(
            kind=TaskKind.WORKFLOW,
            ready=2,
            overdue=1,
            oldest_ready_at=since,
            leased=3,
            expired=1,
            oldest_expiry=NOW - MICROS,
        ),
        TaskKind.ACTIVITY: QueueLoad(kind=TaskKind.ACTIVITY, ready=1),
    }
    oldest = QueuedTask(
        id=TASK_ID,
        kind=TaskKind.WORKFLOW,
        run_id=RUN_ID,
        workflow_id="order-42",
        ready_at=since,
    )
    leases = tuple(
        QueueLease(
            id=kind,
            kind=kind,
            run_id=RUN_ID,
            workflow_id="order-42",
            lease_owner="wk1",
            lease_expires_at=NOW,
            attempt=2,
            attempt_id=ATTEMPT_ID if kind is TaskKind.ACTIVITY else None,
        )
        for kind in TaskKind
    )
    backlog = QueueBacklog(loads=loads, oldest=oldest)
    pollers = (a_worker(), a_worker(worker_id="wk2", status="stale"))
    found = diagnosis(backlog=backlog, leases=leases, pollers=pollers)
    queue = (await debugged(found))["task_queue"]
    stats = queue["stats"]
    assert stats["approximate_backlog_count"] == 3
    assert stats["approximate_backlog_age"] == spoken
    assert stats["oldest_ready_task"]["age_seconds"] == age
    assert stats["workflow_tasks"] == {
        "ready_count": 2,
        "leased_count": 3,
        "expired_lease_count": 1,
    }
    assert stats["pollers"]["active_count"] == stats["pollers"]["stale_count"] == 1
    workflow, activity = queue["current_leases"]
    assert (workflow["workflow_task_attempt"], workflow["is_expired"]) == (2, True)
    assert activity["activity_attempt_id"] == ATTEMPT_ID
    assert queue["repair"] == {
        "candidates": 2,
        "dispatch_failed": 0,
        "expired_leases": 1,
        "oldest_lease_expired_at": "2026-04-13T11:59:59.000000Z",
        "max_lease_expired_age_ms": 1000,
        "dispatch_overdue": 1,
        "oldest_dispatch_overdue_since": queue["repair"][
            "oldest_dispatch_overdue_since"
        ],
        "max_dispatch_overdue_age_ms": age * 1000,
        "needs_attention": True,
        "policy": {"redispatch_after_seconds": 3},
    }


# against a server --------------------------------------------------------------------

RECORDED = orjson.loads(
    (Path(__file__).parent / "fixtures" / "debug.json").read_bytes()
)


def members(value: Any) -> Any:
    """The members of a document, and what kind of values they have."""
    if isinstance(value, dict):
        return {name: members(item) for name, item in value.items()}
    if isinstance(value, list):
        return [members(item) for item in value[:1]]
    return type(value).__name__


def a_debugged_run(client: JsonHttp) -> Any:
    body = {"workflow_id": "l0", "workflow_type": "g.b", "task_queue": "gq"}
    client.request("POST", "/api/workflows", body).expect(201)
    return client.request("GET", "/api/workflows/l0/debug").expect(200)


def test_a_recorded_run_has_the_same_members(
    start_server: StartServer, store_url: str
) -> None:
    client = operator(start_server(store_url).base_url, TEST_TOKEN)
    ours = a_debugged_run(client)
    nested = ours.pop("control_plane")
    for name in ("run_id", "namespace", "task_queue", "compatibility"):
        assert nested[name] == ours[name]
    assert nested["diagnostic_status"] == "pending_work"
    # What we know of a start without business key is less by that member.
    started = ours["execution"]["last_event"]["payload_summary"]
    recorded = RECORDED["execution"]["last_event"]["payload_summary"]
    assert set(started["top_level_keys"]) <= set(recorded["top_level_keys"])
    assert members(ours) == members(RECORDED)
    assert ours["task_queue"]["stats"]["oldest_ready_task"]["run_id"] == ours["run_id"]
    assert [each["code"] for each in ours["findings"]] == ["no_active_pollers"]
    run = f"/api/workflows/l0/runs/{ours['run_id']}/debug?include_last_event_payload=on"
    one = client.request("GET", run).expect(200)
    assert (
        '"workflow_type"' in one["execution"]["last_event"]["payload_preview"]["data"]
    )
    for path in ("/api/workflows/nope/debug", "/api/workflows/l0/runs/nope/debug"):
        refused = client.request("GET", path)
        assert refused.status == 404
        assert refused.body["control_plane"]["operation"] == "debug_workflow"

"""``/api/schedules`` on a real node: fields, refusals, answers, repetition."""

from __future__ import annotations

from typing import Any

import pytest

from dwserver.http.control_plane.schedule_fields import CREATE_FIELDS, UPDATE_FIELDS
from tests.http.input_cases import (
    ABSENT,
    MISSING,
    NO_ARRAY,
    NO_LIST,
    NO_OBJECT,
    Body,
    Wrong,
    boolean,
    cases,
    integer,
    text,
    word,
)
from tests.support.json_http import Answer, JsonHttp, operator
from tests.support.processes import TEST_TOKEN, CommonServers, new_namespace

ACTION = {"workflow_type": "orders.Ship", "task_queue": "orders", "input": ["x"]}
HOURLY: Body = {"spec": {"cron_expressions": ["0 * * * *"]}, "action": ACTION}
NEVER_SOON = {"cron_expressions": ["0 0 29 2 *"]}
CENTURY = 3_155_760_000

SPEC_TABLE = (
    Wrong("spec", NO_OBJECT),
    Wrong("spec", ({"cron_expressions": []}, {"timezone": "UTC"}), also=()),
    Wrong("spec.cron_expressions", NO_LIST),
    Wrong("spec.cron_expressions", ([7], [None]), path="spec.cron_expressions.0"),
    Wrong(
        "spec.cron_expressions",
        (["nope"], ["* * * *"], ["0 0 * * * *"], ["0 0 30 2 *"], ["* " * 600]),
        path="spec.cron_expressions.0",
    ),
    Wrong("spec.cron_expressions", (["* * * * *"] * 101,)),
    Wrong("spec.intervals", NO_LIST),
    Wrong("spec.intervals", (["PT1H"], [7]), path="spec.intervals.0"),
    Wrong(
        "spec.intervals",
        (
            [{}],
            [{"offset": "PT1S"}],
            *([{"every": e}] for e in (7, "5m", "PT0S", "P" * 65)),
        ),
        path="spec.intervals.0.every",
    ),
    Wrong(
        "spec.intervals",
        tuple([{"every": "PT1H", "offset": o}] for o in (7, "soon", "P" * 65)),
        path="spec.intervals.0.offset",
    ),
    text("spec.timezone", longest=64),
    Wrong("spec.timezone", ("Mars/Base", "Europe", "../etc/passwd")),
)
ACTION_TABLE = (
    Wrong("action", NO_OBJECT, also=("action.workflow_type",)),
    text("action.workflow_type", longest=255),
    text("action.task_queue", longest=255),
    Wrong("action.input", NO_ARRAY),
    Wrong(
        "action.input", ({"codec": "zip", "blob": "AAAA"},), path="action.input.codec"
    ),
    Wrong("action.input", ({"codec": "avro", "blob": 7},), path="action.input.blob"),
    *(
        integer(f"action.{name}", least=1, most=CENTURY)
        for name in (
            "execution_timeout_seconds",
            "run_timeout_seconds",
            "workflow_execution_timeout",
            "workflow_run_timeout",
        )
    ),
)
REST_TABLE = (
    word("overlap_policy"),
    Wrong("overlap_policy", ("Skip", "replace")),
    integer("jitter_seconds", least=0, most=3600),
    integer("max_runs", least=1),
    Wrong("memo", NO_OBJECT),
    Wrong("search_attributes", NO_OBJECT),
    Wrong("search_attributes", ({"": 1}, {"a b": 1}, {"x": {"y": 1}})),
    text("note", longest=1000),
)
CREATE_TABLE = (
    text("schedule_id", longest=128),
    Wrong("spec", (ABSENT, None, {})),
    Wrong("action", (ABSENT, None, {}), also=("action.workflow_type",)),
    Wrong("action.workflow_type", MISSING),
    *SPEC_TABLE,
    *ACTION_TABLE,
    *REST_TABLE,
    boolean("paused"),
)
UPDATE_TABLE = (*SPEC_TABLE, *ACTION_TABLE, *REST_TABLE)
WINDOW: Body = {
    "start_time": "2026-11-01T00:00:00Z",
    "end_time": "2026-11-01T03:00:00Z",
}
NO_DATES = (*MISSING, 7, "x", "2026-13-01", "0001-01-01T00:00:00Z", "9999-06-01")
BACKFILL_TABLE = (
    Wrong("start_time", NO_DATES),
    Wrong("end_time", NO_DATES),
    word("overlap_policy"),
)


@pytest.fixture
def control(common_servers: CommonServers) -> JsonHttp:
    # Nothing fires on time while a test looks.
    server = common_servers.on("sqlite", {"DW_SCHEDULER_TICK_MS": "60000"})
    return operator(server.base_url, TEST_TOKEN, namespace=new_namespace(server))


def create(control: JsonHttp, schedule_id: str, **fields: Any) -> None:
    body = {"schedule_id": schedule_id, **HOURLY, **fields}
    control.request("POST", "/api/schedules", body).expect(201)


def show(control: JsonHttp, schedule_id: str) -> Any:
    return control.request("GET", f"/api/schedules/{schedule_id}").expect(200)


def history(control: JsonHttp, schedule_id: str, query: str = "") -> Any:
    path = f"/api/schedules/{schedule_id}/history{query}"
    return control.request("GET", path).expect(200)


def post(control: JsonHttp, path: str, body: Any = None) -> Answer:
    return control.request("POST", f"/api/schedules/{path}", body or {})


def problems_of(answer: Answer, path: str, also: tuple[str, ...]) -> str | None:
    errors = answer.body.get("validation_errors", {})
    if answer.status != 422 or answer.body["reason"] != "validation_failed":
        return f"{answer.status} {str(answer.body)[:200]}"
    if path not in errors or not set(errors) <= {path, *also}:
        return f"errors at {sorted(errors)}"
    return None


def test_wrong_fields_are_refused_and_change_nothing(control: JsonHttp) -> None:
    create(control, "nightly", spec=NEVER_SOON)
    before = control.request("GET", "/api/schedules").expect(200)
    found = []
    for method, path, good, table in (
        ("POST", "/api/schedules", HOURLY, CREATE_TABLE),
        ("PUT", "/api/schedules/nightly", HOURLY, UPDATE_TABLE),
        ("POST", "/api/schedules/nightly/backfill", WINDOW, BACKFILL_TABLE),
        ("POST", "/api/schedules/nightly/trigger", {}, (word("overlap_policy"),)),
        ("POST", "/api/schedules/nightly/pause", {}, (text("note", longest=1000),)),
        ("POST", "/api/schedules/nightly/resume", {}, (text("note", longest=1000),)),
    ):
        for case in cases(good, table):
            answer = control.request(method, path, case.body)
            problem = problems_of(answer, case.path, case.also)
            if problem:
                found.append(f"{method} {path} {case.label}: {problem}")
    assert not found, "\n".join(found)
    assert control.request("GET", "/api/schedules").expect(200) == before


def test_the_tables_name_every_field() -> None:
    for fields, table in ((CREATE_FIELDS, CREATE_TABLE), (UPDATE_FIELDS, UPDATE_TABLE)):
        assert {f.name for f in fields} - {wrong.field for wrong in table} == set()


def test_an_unknown_schedule_is_404_whatever_the_body(control: JsonHttp) -> None:
    create(control, "gone")
    control.request("DELETE", "/api/schedules/gone").expect(200)
    for name in ("nope", "gone"):
        answers = [
            control.request("GET", f"/api/schedules/{name}"),
            control.request("PUT", f"/api/schedules/{name}", {"overlap_policy": 7}),
            control.request("DELETE", f"/api/schedules/{name}"),
            *(
                post(control, f"{name}/{verb}", {"note": 7, "overlap_policy": 7})
                for verb in ("pause", "resume", "trigger", "backfill")
            ),
        ]
        for answer in answers:
            assert answer.status == 404
            assert answer.body["reason"] == "schedule_not_found"
    assert [e["event_type"] for e in history(control, "gone")["events"]] == [
        "ScheduleCreated",
        "ScheduleDeleted",
    ]
    unknown = control.request("GET", "/api/schedules/nope/history")
    assert unknown.status == 404


def test_both_families_of_names_say_the_same(control: JsonHttp) -> None:
    create(
        control, "nightly", note="first", memo={"m": 1}, max_runs=5, jitter_seconds=9
    )
    shown = show(control, "nightly")
    assert shown["next_fire"] == shown["next_fire_at"] == shown["info"]["next_fire"]
    for name in ("status", "paused", "note"):
        assert shown["state"][name] == shown[name]
    assert (shown["status"], shown["note"]) == ("active", "first")
    assert (shown["max_runs"], shown["remaining_actions"]) == (5, 5)
    [item] = control.request("GET", "/api/schedules").expect(200)["schedules"]
    assert item == shown
    create(control, "plain")
    item = control.request("GET", "/api/schedules").expect(200)["schedules"][0]
    assert {"jitter_seconds", "max_runs", "remaining_actions"}.isdisjoint(item)


def test_older_names_of_timeouts_are_kept_under_the_newer(control: JsonHttp) -> None:
    older = {"workflow_execution_timeout": 60, "workflow_run_timeout": 30}
    create(control, "old", action={**ACTION, **older})
    create(control, "both", action={**ACTION, **older, "execution_timeout_seconds": 90})
    for name, execution in (("old", 60), ("both", 90)):
        assert show(control, name)["action"] == {
            **ACTION,
            "execution_timeout_seconds": execution,
            "run_timeout_seconds": 30,
        }


def test_ids(control: JsonHttp) -> None:
    made = control.request("POST", "/api/schedules", HOURLY).expect(201)
    schedule_id = made["schedule_id"]
    assert len(schedule_id) == 26
    assert schedule_id == schedule_id.upper()
    create(control, "nightly")
    again = control.request(
        "POST", "/api/schedules", {"schedule_id": "nightly", **HOURLY}
    )
    assert again.status == 409
    assert again.body["reason"] == "schedule_already_exists"
    assert again.body["schedule_id"] == "nightly"
    control.request("DELETE", "/api/schedules/nightly").expect(200)
    create(control, "nightly", note="second")
    assert len(history(control, "nightly")["events"]) == 1


def test_pause_and_resume_may_be_repeated(control: JsonHttp) -> None:
    create(control, "nightly")
    for _ in range(3):
        answer = post(control, "nightly/pause", {"note": "stop"}).expect(200)
        assert answer == {"schedule_id": "nightly", "outcome": "paused"}
        assert show(control, "nightly")["state"] == {
            "status": "paused",
            "paused": True,
            "note": "stop",
        }
    skipped = post(control, "nightly/trigger").expect(200)
    assert (skipped["outcome"], skipped["reason"]) == (
        "skipped",
        "status_not_triggerable",
    )
    for _ in range(3):
        answer = post(control, "nightly/resume", {"note": "go"}).expect(200)
        assert answer == {"schedule_id": "nightly", "outcome": "resumed"}
        assert show(control, "nightly")["status"] == "active"
    kinds = [event["event_type"] for event in history(control, "nightly")["events"]]
    assert kinds.count("ScheduleResumed") == 1


def test_a_memo_that_is_too_large(control: JsonHttp) -> None:
    memo = {"m": "x" * 262_144}
    answer = control.request("POST", "/api/schedules", {**HOURLY, "memo": memo})
    assert (answer.status, answer.body["reason"]) == (422, "memo_too_large")
    assert answer.body["limit"] == 262_144


def test_history_is_paged(control: JsonHttp) -> None:
    create(control, "nightly", paused=True)
    post(control, "nightly/resume").expect(200)
    first = history(control, "nightly", "?limit=2")
    assert (first["has_more"], first["next_cursor"]) == (True, 2)
    rest = history(control, "nightly", "?limit=2&after_sequence=2")
    assert (rest["has_more"], rest["next_cursor"]) == (False, None)
    types = [e["event_type"] for e in (*first["events"], *rest["events"])]
    assert types == ["ScheduleCreated", "SchedulePaused", "ScheduleResumed"]
    commands = [
        e["payload"]["command_context"]["context"]["server"]["command"]
        for e in (*first["events"], *rest["events"])
    ]
    assert commands == ["schedule.create", "schedule.pause", "schedule.resume"]
    for query in ("?limit=abc", "?limit=0", "?limit=9999", "?after_sequence="):
        assert len(history(control, "nightly", query)["events"]) == 3
    for word_ in ("x", "-1", "1.5"):
        path = f"/api/schedules/nightly/history?after_sequence={word_}"
        answer = control.request("GET", path)
        assert (answer.status, answer.body["reason"]) == (422, "invalid_after_sequence")


def test_the_list_is_paged_and_filtered(control: JsonHttp) -> None:
    for n in range(5):
        create(
            control,
            f"s-{n}",
            action={"workflow_type": f"type-{n % 2}"},
            paused=n == 3,
        )

    def ids(query: str) -> tuple[list[str], str | None]:
        page = control.request("GET", f"/api/schedules{query}").expect(200)
        return [each["schedule_id"] for each in page["schedules"]], page[
            "next_page_token"
        ]

    everything, token = ids("")
    assert (everything, token) == (["s-4", "s-3", "s-2", "s-1", "s-0"], None)
    first, token = ids("?page_size=2")
    second, token = ids(f"?page_size=2&next_page_token={token}")
    third, end = ids(f"?page_size=2&next_page_token={token}")
    assert (first + second + third, end) == (everything, None)
    assert ids("?status=paused")[0] == ["s-3"]
    assert ids("?workflow_type=type-0&status=active")[0] == ["s-4", "s-2", "s-0"]
    assert control.request("GET", "/api/schedules?status=deleted").status == 422
    assert ids("?query=Status%3Dactive%20AND%20WorkflowType%3D%22type-1%22")[0] == [
        "s-1"
    ]
    assert ids("?query=s-4")[0] == ["s-4"]
    first, token = ids("?query=ScheduleId%20!%3D%20s-2&page_size=3")
    second, end = ids(
        f"?query=ScheduleId%20!%3D%20s-2&page_size=3&next_page_token={token}"
    )
    assert (first, second, end) == (["s-4", "s-3", "s-1"], ["s-0"], None)
    refused = control.request("GET", "/api/schedules?query=CreatedAt%3Dsoon")
    assert (refused.status, refused.body["reason"]) == (422, "validation_failed")
    assert list(refused.body["errors"]) == ["query"]


def test_a_trigger_starts_a_workflow_that_says_why(control: JsonHttp) -> None:
    envelope = {"codec": "avro", "blob": "AApbIngiXQI="}
    create(
        control,
        "nightly",
        action={**ACTION, "input": envelope, "run_timeout_seconds": 60},
        memo={"owner": "billing"},
        search_attributes={"Region": "eu"},
    )
    fired = post(control, "nightly/trigger").expect(200)
    assert fired["outcome"] == "triggered"
    workflow_id, run_id = fired["workflow_id"], fired["run_id"]
    assert workflow_id.startswith("schedule:nightly:")
    run = control.request("GET", f"/api/workflows/{workflow_id}").expect(200)
    assert (run["run_id"], run["workflow_type"]) == (run_id, "orders.Ship")
    assert run["memo"] == {"owner": "billing"}
    assert run["search_attributes"] == {"Region": "eu"}
    assert run["run_timeout_seconds"] == 60
    assert run["input_envelope"] == envelope
    path = f"/api/workflows/{workflow_id}/runs/{run_id}/history"
    events = control.request("GET", path).expect(200)["events"]
    assert [e["event_type"] for e in events] == [
        "StartAccepted",
        "WorkflowStarted",
        "ScheduleTriggered",
    ]
    assert events[2]["payload"]["schedule_id"] == "nightly"
    again = post(control, "nightly/trigger").expect(200)
    assert (again["outcome"], again["reason"]) == ("skipped", "overlap_policy_skip")
    beside = post(control, "nightly/trigger", {"overlap_policy": "allow_all"}).expect(
        200
    )
    assert beside["outcome"] == "triggered"
    shown = show(control, "nightly")
    assert (shown["fires_count"], shown["info"]["skipped_trigger_count"]) == (2, 1)
    assert shown["latest_workflow_instance_id"] == beside["workflow_id"]


@pytest.mark.parametrize(
    ("policy", "closed"),
    [("cancel_other", "cancelled"), ("terminate_other", "terminated")],
)
def test_a_policy_that_closes_the_other(
    control: JsonHttp, policy: str, closed: str
) -> None:
    create(control, "nightly", overlap_policy=policy)
    first, second = (post(control, "nightly/trigger").expect(200) for _ in range(2))
    assert second["outcome"] == "triggered"
    states = [
        control.request("GET", f"/api/workflows/{each['workflow_id']}").expect(200)
        for each in (first, second)
    ]
    assert [each["status"] for each in states] == [closed, "pending"]


def test_buffers(control: JsonHttp) -> None:
    create(control, "one", overlap_policy="buffer_one")
    outcomes = [post(control, "one/trigger").expect(200) for _ in range(3)]
    assert [each["outcome"] for each in outcomes] == [
        "triggered",
        "buffered",
        "buffer_full",
    ]
    assert outcomes[1]["buffer_depth"] == 1
    create(control, "all", overlap_policy="buffer_all")
    depths = [post(control, "all/trigger").expect(200) for _ in range(4)][1:]
    assert [each["buffer_depth"] for each in depths] == [1, 2, 3]
    assert len(show(control, "all")["info"]["buffered_actions"]) == 3


def test_a_backfill_fires_its_window_once(control: JsonHttp) -> None:
    create(control, "hourly", overlap_policy="allow_all")
    first = post(control, "hourly/backfill", WINDOW).expect(200)
    assert (first["outcome"], first["fires_attempted"]) == ("backfill_started", 3)
    assert [(r["fire_time"], r["outcome"]) for r in first["results"]] == [
        (f"2026-11-01T0{hour}:00:00+00:00", "started") for hour in range(3)
    ]
    again = post(control, "hourly/backfill", WINDOW).expect(200)
    assert [r["outcome"] for r in again["results"]] == ["skipped"] * 3
    assert [r["reason"] for r in again["results"]] == ["already_fired"] * 3
    assert [r["workflow_id"] for r in again["results"]] == [
        r["workflow_id"] for r in first["results"]
    ]
    assert show(control, "hourly")["fires_count"] == 3


def test_a_backfill_has_limits(control: JsonHttp) -> None:
    create(control, "hourly", overlap_policy="allow_all", max_runs=2)
    reversed_ = {"start_time": WINDOW["end_time"], "end_time": WINDOW["start_time"]}
    answer = post(control, "hourly/backfill", reversed_)
    assert (answer.status, answer.body["reason"]) == (422, "invalid_time_range")
    large = {"start_time": "2026-01-01", "end_time": "2026-02-12T16:00:01"}
    refused = post(control, "hourly/backfill", large)
    assert problems_of(refused, "end_time", ()) is None
    assert show(control, "hourly")["fires_count"] == 0
    nothing = {**WINDOW, "start_time": "2026-11-01T02:30:00Z"}
    done = post(control, "hourly/backfill", nothing).expect(200)
    assert (done["fires_attempted"], done["results"]) == (0, [])
    # The second run is the last: the schedule is gone.
    done = post(control, "hourly/backfill", WINDOW).expect(200)
    assert done["fires_attempted"] == 2
    assert control.request("GET", "/api/schedules/hourly").status == 404


def test_a_backfill_with_skip_starts_one(control: JsonHttp) -> None:
    create(control, "hourly")
    done = post(control, "hourly/backfill", WINDOW).expect(200)
    assert [r["outcome"] for r in done["results"]] == ["started", "skipped", "skipped"]
    assert all("reason" not in r for r in done["results"])
    post(control, "hourly/pause").expect(200)
    done = post(control, "hourly/backfill", WINDOW).expect(200)
    assert [r["outcome"] for r in done["results"]] == ["skipped"] * 3

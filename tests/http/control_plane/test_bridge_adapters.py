"""Outside events through a live server: the recorded ones, and every one three
times (``spec/control-plane-api.md`` §8)."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Any

import orjson
import pytest

from tests.support.json_http import (
    WORKER_HEADER,
    Answer,
    JsonHttp,
    operator,
    read_history,
)
from tests.support.processes import TEST_TOKEN, new_namespace
from tests.support.server_process import ServerProcess

RECORDED: list[dict[str, Any]] = orjson.loads(
    (Path(__file__).parent / "fixtures" / "bridge_adapters.json").read_bytes()
)
SHOP = "/api/bridge-adapters/webhook/shop"
CONTRACT = {"signals": ["advance"], "updates": ["approve"]}
OTHERWISE: dict[str, dict[str, Any]] = {
    # D6: a refused start is no accepted one.
    "start_with_workflow_id_duplicate_rejected": {
        "status": 200,
        "accepted": False,
        "outcome": "duplicate",
        "reason": "duplicate_start",
    },
    # Decision 6: an update behind a signal is queued.
    "update": {
        "status": 202,
        "accepted": True,
        "outcome": "accepted",
        "reason": None,
        "control_plane_outcome": None,
    },
    "update_same_key": {
        "status": 200,
        "outcome": "duplicate",
        "reason": None,
        "control_plane_outcome": "deduped_existing_command",
    },
}
# Sentences, and ids that differ from run to run.
FREE = {"message", "run_id", "errors"}


@pytest.fixture
def client(common_server: ServerProcess) -> JsonHttp:
    server, namespace = common_server, new_namespace(common_server)
    headers = {
        "Authorization": f"Bearer {TEST_TOKEN}",
        "X-Namespace": namespace,
        WORKER_HEADER: "1.0",
    }
    registration = {
        "worker_id": "B",
        "task_queue": "iq",
        "runtime": "python",
        "workflow_command_contracts": {"i.flow": CONTRACT},
    }
    worker = JsonHttp(server.base_url, headers)
    worker.request("POST", "/api/worker/register", registration).expect(201)
    client = operator(server.base_url, TEST_TOKEN, namespace=namespace)
    start = {"workflow_id": "bi-36383", "workflow_type": "i.flow", "task_queue": "iq"}
    client.request("POST", "/api/workflows", start).expect(201)
    return client


def differences(recorded: dict[str, Any], ours: Answer) -> list[str]:
    name = recorded["name"]
    otherwise = OTHERWISE.get(name, {})
    status = otherwise.get("status", recorded["status"])
    found = [] if ours.status == status else [f"{name}: status {ours.status}"]
    expected = {**recorded["answer"], **otherwise}
    expected.pop("status", None)
    for key in expected.keys() | ours.body.keys():
        theirs, mine = expected.get(key), ours.body.get(key)
        if key in FREE:
            if key != "message" and bool(theirs) is not bool(mine):
                found.append(f"{name}: {key} is {mine!r}")
        elif mine != theirs:
            found.append(f"{name}: {key} is {mine!r}, not {theirs!r}")
    if set(ours.body.get("errors", ())) != set(recorded["answer"].get("errors", ())):
        found.append(f"{name}: errors {ours.body.get('errors')}")
    return found


def test_recorded_events(client: JsonHttp) -> None:
    problems = [
        line
        for recorded in RECORDED
        for line in differences(
            recorded, client.request("POST", recorded["path"], recorded["body"])
        )
    ]
    assert not problems, "\n".join(problems)


def an_event(action: str, key: str, target: dict[str, Any], **more: Any) -> Any:
    return {"action": action, "idempotency_key": key, "target": target, **more}


def test_an_event_that_comes_three_times_counts_once(client: JsonHttp) -> None:
    target = {"workflow_id": "bi-36383"}
    start = {"workflow_type": "s.flow", "task_queue": "sq", "business_key": "b-1"}
    events = (
        an_event("start_workflow", "k", start, input=[1]),
        an_event("signal_workflow", "k", {**target, "signal_name": "advance"}),
        an_event("update_workflow", "k", {**target, "update_name": "approve"}),
    )
    for event in events:
        answers = [client.request("POST", SHOP, event) for _ in range(3)]
        assert [answer.status for answer in answers] == [202, 200, 200]
        assert len({answer.body["run_id"] for answer in answers}) == 1
    # The same key in another adapter, or for another name, is another event.
    other = SHOP.replace("shop", "erp")
    assert client.request("POST", other, events[1]).status == 202
    described = client.request("GET", "/api/workflows/bi-36383").expect(200)
    history = read_history(client, "bi-36383", described["run_id"])
    counted = Counter(event["event_type"] for event in history)
    assert (counted["SignalReceived"], counted["UpdateAccepted"]) == (2, 1)
    # A key is no request id of the signal's own route.
    path = "/api/workflows/bi-36383/signal/advance"
    client.request("POST", path, {"request_id": "k"}).expect(202)
    history = read_history(client, "bi-36383", described["run_id"])
    assert [e["event_type"] for e in history].count("SignalReceived") == 3


def test_a_rejected_event_may_come_again(client: JsonHttp) -> None:
    """What was wrong may have been put right by then."""
    start = {"workflow_id": "late", "workflow_type": "s.flow"}
    client.request("POST", "/api/workflows", start).expect(201)
    client.request("POST", "/api/workflows/late/terminate").expect(200)
    event = an_event(
        "signal_workflow", "k", {"workflow_id": "late", "signal_name": "s"}
    )
    first, again = (client.request("POST", SHOP, event) for _ in range(2))
    assert (first.status, again.status) == (422, 422)
    assert first.body["reason"] == again.body["reason"] == "run_not_active"
    assert again.body["outcome"] == "rejected"


MALFORMED = [
    (an_event("start_workflow", "k", {"task_queue": "q"}), "target.workflow_type"),
    (
        an_event("start_workflow", "k", {"workflow_type": "t", "workflow_id": "a b"}),
        "target.workflow_id",
    ),
    (
        an_event(
            "start_workflow", "k", {"workflow_type": "t", "duplicate_policy": "x"}
        ),
        "target.duplicate_policy",
    ),
    (
        an_event(
            "start_workflow",
            "k",
            {"workflow_type": "t"},
            input={"codec": "zip", "blob": ""},
        ),
        "input.codec",
    ),
    (
        an_event("signal_workflow", "k", {"workflow_id": "bi-36383"}),
        "target.signal_name",
    ),
    (
        an_event(
            "update_workflow",
            "k",
            {"workflow_id": "bi-36383", "update_name": "a", "wait_for": "ever"},
        ),
        "target.wait_for",
    ),
    (
        an_event(
            "signal_workflow",
            "k",
            {"workflow_id": "bi-36383", "signal_name": "a"},
            input={"codec": "avro", "blob": "no base64!"},
        ),
        "input.blob",
    ),
    (an_event("signal_workflow", "k" * 256, {"a": 1}), "idempotency_key"),
    (an_event("signal_workflow", "k", {"a": 1}, correlation="x"), "correlation"),
]


def test_what_is_refused_and_why(client: JsonHttp) -> None:
    for event, path in MALFORMED:
        refused = client.request("POST", SHOP, event).expect(422)
        told = (refused["outcome"], refused["reason"], list(refused["errors"]))
        assert told == ("rejected", "malformed_payload", [path])
        assert "control_plane" not in refused
    target = {"workflow_type": "another", "workflow_id": "bi-36383"}
    event = an_event("start_workflow", "k", target)
    refused = client.request("POST", SHOP, event).expect(422)
    assert refused["reason"] == "unknown_target"


def test_an_update_is_waited_for_and_adapters_are_announced(client: JsonHttp) -> None:
    target = {
        "workflow_id": "bi-36383",
        "update_name": "approve",
        "wait_for": "completed",
        "wait_timeout_seconds": 1,
    }
    event = an_event("update_workflow", "k", target)
    assert client.request("POST", SHOP, event).expect(202)["outcome"] == "accepted"
    told = client.request("GET", "/api/cluster/info").expect(200)
    assert told["capabilities"]["bridge_adapter_outcome_contract"] is True
    assert told["bridge_adapter_outcome_contract"]["version"] == 1

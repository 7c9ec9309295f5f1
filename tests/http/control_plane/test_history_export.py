"""Exports of a live server, as the official verifier sees them and beside a recorded
one (``spec/history-bundles.md`` §2, §3)."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import orjson
from durable_workflow.history_bundle_verify import verify_bundle

from dwserver.protocol.history_bundles.verification.verifying import verify_text
from tests.support.json_http import (
    WORKER_HEADER,
    JsonHttp,
    operator,
    read_history,
)
from tests.support.processes import TEST_TOKEN, StartServer

KEY = "a key that signs"
RECORDED: dict[str, Any] = orjson.loads(
    (
        Path(__file__).parents[2] / "protocol" / "fixtures" / "history_bundle.json"
    ).read_bytes()
)
POLL = {"worker_id": "E", "task_queue": "eq", "timeout_seconds": 20}
FLOW = {"workflow_type": "e.flow", "task_queue": "eq"}
# Later than the recording, or named differently by what we are.
NEWER = {
    "workflow": {"source_runtime", "source_process_class"},
    "summary": {"history_fan_out", "history_budget_pressure"},
    "commands": {"message_sequence", "reason"},
    "tasks": {"created_at"},
    "activities": {"execution_mode", "local_activity", "payload_codec"},
}


class Stand:
    def __init__(self, start_server: StartServer, store_url: str) -> None:
        server = start_server(
            store_url,
            {
                "DW_V2_HISTORY_EXPORT_SIGNING_KEY": KEY,
                "DW_V2_HISTORY_EXPORT_SIGNING_KEY_ID": "k-1",
            },
        )
        self.control = operator(server.base_url, TEST_TOKEN)
        headers = {"Authorization": f"Bearer {TEST_TOKEN}", WORKER_HEADER: "1.20"}
        self._worker = JsonHttp(server.base_url, headers)
        self.post("register", {**POLL, "runtime": "python"}, status=201)

    def post(self, path: str, body: Any, *, status: int = 200) -> Any:
        return self._worker.request("POST", f"/api/worker/{path}", body).expect(status)

    def command(self, path: str, body: Any = None, *, status: int = 200) -> Any:
        path = f"/api/workflows/{path}"
        return self.control.request("POST", path, body).expect(status)

    def complete(self, *commands: Any) -> None:
        task = self.post("workflow-tasks/poll", POLL)["task"]
        body = {
            "lease_owner": "E",
            "workflow_task_attempt": task["workflow_task_attempt"],
            "commands": list(commands),
        }
        self.post(f"workflow-tasks/{task['task_id']}/complete", body)

    def run_activity(self) -> None:
        task = self.post("activity-tasks/poll", POLL)["task"]
        body = {
            "lease_owner": "E",
            "activity_attempt_id": task["activity_attempt_id"],
            "result": {"codec": "avro", "blob": "AAYiZCIC"},
        }
        self.post(f"activity-tasks/{task['task_id']}/complete", body)

    def export(self, workflow_id: str) -> Any:
        described = self.control.request("GET", f"/api/workflows/{workflow_id}")
        run_id = described.expect(200)["run_id"]
        path = f"/api/workflows/{workflow_id}/runs/{run_id}/history/export"
        answer = self.control.request("GET", path)
        assert answer.headers["x-durable-workflow-control-plane-version"] == "2"
        return answer.expect(200)


def assert_verified(bundle: Any, *, findings: tuple[str, ...] = ()) -> None:
    report = verify_bundle(bundle, KEY)
    assert [found["rule"] for found in report["findings"]] == list(findings)
    assert report["integrity"]["signature_verified"] is True
    assert report["integrity"]["key_id"] == "k-1"


def test_a_run_with_a_bit_of_everything(
    start_server: StartServer, store_url: str
) -> None:
    stand = Stand(start_server, store_url)
    started = {**FLOW, "input": ["a"], "memo": {"m": 1}, "signal_input": ["b"]}
    stand.command("all/signal-with-start/go", started, status=202)
    stand.complete(
        {"type": "schedule_activity", "activity_type": "e.act", "queue": "eq"},
        {"type": "start_timer", "delay_seconds": 0},
        {"type": "start_child_workflow", "workflow_type": "e.kid", "queue": "other"},
        {"type": "open_condition_wait", "condition_key": "k", "timeout_seconds": 60},
    )
    stand.run_activity()
    stand.command("all/update/set", {"input": [1], "request_id": "u"}, status=202)
    opened = stand.export("all")
    assert_verified(opened)
    assert opened["history_complete"] is False
    assert opened["summary"]["wait_kind"]
    stand.command("all/cancel", {"reason": "enough"})
    stand.command("all/archive", {"reason": "kept"})
    bundle = stand.export("all")
    assert_verified(bundle)
    assert bundle["history_complete"] is True
    history = read_history(stand.control, "all", bundle["workflow"]["run_id"])
    events = bundle["history_events"]
    assert [event["type"] for event in events] == [e["event_type"] for e in history]
    assert len(bundle["timeline"]) == len(events)
    assert {wait["kind"] for wait in bundle["waits"]} == {
        "activity",
        "timer",
        "child",
        "condition",
        "update",
    }
    assert [each["type"] for each in bundle["commands"]] == [
        "start",
        "signal",
        "update",
        "cancel",
        "archive",
    ]
    assert bundle["commands"][0]["auth_method"] == "token"
    [intake] = bundle["linked_intakes"]
    assert (intake["mode"], intake["complete"]) == ("signal_with_start", True)
    [activity] = bundle["activities"]
    assert (activity["status"], activity["result"]) == ("completed", "AAYiZCIC")
    assert [attempt["status"] for attempt in activity["attempts"]] == ["completed"]
    assert bundle["workflow"]["archive_reason"] == "kept"
    assert bundle["workflow"]["archived_at"] == bundle["summary"]["archived_at"]
    assert bundle["links"]["children"][0]["workflow_type"] == "e.kid"
    assert (bundle["workflow"]["memo"], bundle["payloads"]["codec"]) == (
        {"m": 1},
        "avro",
    )
    assert len(bundle["signals"]) == len(bundle["updates"]) == 1
    assert {task["type"] for task in bundle["tasks"]} == {"workflow", "activity"}
    # Changed in one place it is no longer what was signed.
    bundle["workflow"]["status"] = "completed"
    report = verify_bundle(bundle, KEY)
    assert report["status"] == "failed"


VALUES = {
    "whole": 1.0,
    "tiny": -1.5e-9,
    "huge": 1e22,
    "long": 2**63 - 1,
    "text": 'Grüße / 😀 "\\ \x7f\u2028',
    "none": [{}, [], None],
}


def test_whatever_users_put_in_is_verified(
    start_server: StartServer, store_url: str
) -> None:
    stand = Stand(start_server, store_url)
    start = {"workflow_id": "v", **FLOW, "input": [VALUES], "memo": VALUES}
    stand.control.request("POST", "/api/workflows", start).expect(201)
    stand.complete({"type": "record_side_effect", "result": VALUES})
    stand.command("v/signal/go", {"input": [VALUES]}, status=202)
    # Nothing of the run says that it was refused.
    stand.command("v/archive", {"reason": "too early"}, status=409)
    bundle = stand.export("v")
    report = verify_text(orjson.dumps(bundle), signing_key=KEY)
    assert (report.findings, report.signature_verified) == ((), True)
    assert bundle["workflow"]["memo"] == VALUES
    assert [each["type"] for each in bundle["commands"]] == ["start", "signal"]


def test_a_run_is_linked_with_its_parent_and_its_predecessor(
    start_server: StartServer, store_url: str
) -> None:
    stand = Stand(start_server, store_url)
    start = {"workflow_id": "p", **FLOW}
    stand.control.request("POST", "/api/workflows", start).expect(201)
    child = {"type": "start_child_workflow", "workflow_type": "e.kid", "queue": "eq"}
    stand.complete(child)
    [link] = stand.export("p")["links"]["children"]
    stand.complete({"type": "continue_as_new"})
    links = stand.export(link["child_workflow_instance_id"])["links"]
    assert [
        (each["type"], each["parent_workflow_instance_id"]) for each in links["parents"]
    ] == [
        ("continue_as_new", link["child_workflow_instance_id"]),
        ("child_workflow", "p"),
    ]


def test_a_bundle_has_the_recorded_members(
    start_server: StartServer, store_url: str
) -> None:
    stand = Stand(start_server, store_url)
    start = {"workflow_id": "hi", **FLOW}
    stand.control.request("POST", "/api/workflows", start).expect(201)
    stand.complete(
        {"type": "schedule_activity", "activity_type": "a.act", "queue": "eq"}
    )
    stand.run_activity()
    closing = {"codec": "avro", "blob": "ABZ7Im9rIjp0cnVlfQI="}
    stand.complete({"type": "complete_workflow", "result": closing})
    bundle = stand.export("hi")
    assert_verified(bundle)
    assert bundle.keys() == RECORDED.keys()
    for section, theirs in RECORDED.items():
        ours = bundle[section]
        if isinstance(theirs, list):
            assert bool(ours) is bool(theirs), section
            ours, theirs = (each[0] if each else {} for each in (ours, theirs))
        if isinstance(theirs, dict):
            more = NEWER.get(section, set())
            assert set(ours) - more == set(theirs), section
    for name in ("memo", "search_attributes", "visibility_labels"):
        assert bundle["workflow"][name] == []
    assert bundle["payloads"]["output"] == RECORDED["payloads"]["output"]
    path = "/api/workflows/hi/runs/nope/history/export"
    refused = stand.control.request("GET", path).expect(404)
    assert refused["reason"] == "run_not_found"
    assert "control_plane" not in refused

"""Imports into a live server (``spec/control-plane-api.md`` §5.13)."""

from __future__ import annotations

import socket
import time
from typing import Any
from urllib.parse import urlsplit

import orjson
import pytest

from tests.support.embedded_bundles import RUN_ID, a_bundle, sealed
from tests.support.json_http import WORKER_HEADER, JsonHttp, operator
from tests.support.processes import TEST_TOKEN, StartServer

PATH = "/api/workflows/import/embedded-v2"
USUAL_LIMIT = 1_000
LARGER = {"DW_MAX_PAYLOAD_BYTES": str(USUAL_LIMIT), "DW_MAX_IMPORT_BYTES": "100000"}


@pytest.fixture
def control(start_server: StartServer, store_url: str) -> JsonHttp:
    return operator(start_server(store_url, LARGER).base_url, TEST_TOKEN)


def test_an_imported_run_is_shown_with_where_it_comes_from(control: JsonHttp) -> None:
    told = control.request("GET", "/api/cluster/info").expect(200)
    assert told["capabilities"]["embedded_v2_import"] is True
    contract = told["embedded_v2_import_contract"]
    assert contract["import"]["server_endpoint"] == f"POST {PATH}"
    body = {"bundle": a_bundle(), "import_id": " cutover-1 "}
    assert control.request("POST", PATH, {**body, "dry_run": "1"}).status == 200
    assert control.request("GET", "/api/workflows/order-1").status == 404
    report = control.request("POST", PATH, body).expect(201)
    assert "control_plane" not in report
    assert (report["status"], report["import_id"]) == ("imported", "cutover-1")
    # The bundle may be the whole body.
    again = control.request("POST", PATH, a_bundle()).expect(200)
    assert (again["status"], again["existing_import_id"]) == (
        "already_imported",
        "cutover-1",
    )
    detail = control.request("GET", "/api/workflows/order-1").expect(200)
    assert {name: detail[name] for name in contract_fields(contract)} == {
        "engine_source": "embedded_v2_import",
        "import_source": "embedded_v2",
        "import_id": "cutover-1",
        "import_dedupe_key": a_bundle()["dedupe_key"],
        "import_contract_version": 1,
        "imported_at": report["imported_at"],
    }
    own = {"workflow_id": "own", "workflow_type": "t", "task_queue": "q"}
    control.request("POST", "/api/workflows", own).expect(201)
    listed = control.request("GET", "/api/workflows").expect(200)["workflows"]
    assert {row["workflow_id"]: row["engine_source"] for row in listed} == {
        "own": "v2",
        "order-1": "embedded_v2_import",
    }
    plain = control.request("GET", "/api/workflows/own").expect(200)
    assert plain["engine_source"] == "v2"
    assert "import_id" not in plain


def contract_fields(contract: Any) -> list[str]:
    fields: list[str] = contract["visibility_and_audit"]["detail_fields"]
    return fields


def test_what_cannot_be_imported(control: JsonHttp) -> None:
    for nothing in ([], {}, [a_bundle()], None):
        refused = control.request("POST", PATH, nothing).expect(422)
        assert refused["reason"] == "invalid_import_bundle"
    refused = control.request("POST", PATH, {"bundle": {}, "dry_run": "soon"})
    assert refused.expect(422)["reason"] == "validation_failed"
    for foreign in ({"bundle": []}, {"bundle": {"schema": 1}}):
        report = control.request("POST", PATH, foreign).expect(422)
        assert report["status"] == "rejected"
        assert report["eligibility"]["errors"][0]["rule"] == "bundle.integrity_failed"
    workflow = {**a_bundle()["workflow"], "source_runtime": "standalone_server"}
    report = control.request("POST", PATH, sealed({**a_bundle(), "workflow": workflow}))
    [error] = report.expect(422)["eligibility"]["errors"]
    assert error["rule"] == "workflow.source_runtime_unsupported"


def test_a_bundle_has_a_limit_of_its_own(control: JsonHttp) -> None:
    padded = {"bundle": a_bundle(), "padding": "x" * 100_000}
    refused = control.request("POST", PATH, padded).expect(413)
    assert (refused["reason"], refused["limit"]) == ("payload_too_large", 100_000)
    start = {"workflow_type": "t", "memo": {"m": "x" * USUAL_LIMIT}}
    refused = control.request("POST", "/api/workflows", start).expect(413)
    assert refused["limit"] == USUAL_LIMIT


def test_large_bundles_come_one_at_a_time(control: JsonHttp) -> None:
    other = a_bundle("order-2", run_id="other")
    body = orjson.dumps({"bundle": a_bundle()})
    assert len(body) > USUAL_LIMIT
    address = urlsplit(control.base_url)
    head = (
        f"POST {PATH} HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {TEST_TOKEN}\r\n"
        "X-Durable-Workflow-Control-Plane-Version: 2\r\n"
        "Content-Type: application/json\r\nConnection: close\r\n"
        f"Content-Length: {len(body)}\r\n\r\n"
    )
    with socket.create_connection((address.hostname, address.port)) as first:
        first.sendall(head.encode() + body[:-1])
        deadline = time.monotonic() + 30
        while time.monotonic() < deadline:
            # Until its head has been read.
            crowded = control.request("POST", PATH, {"bundle": other})
            if crowded.status == 503:
                break
        refused = crowded.expect(503)
        assert refused["reason"] == "embedded_v2_import_unavailable"
        # What is not larger than other requests may be is let in.
        assert control.request("POST", PATH, {"bundle": {}}).status == 422
        first.sendall(body[-1:])
        answer = b"".join(iter(lambda: first.recv(65536), b""))
    assert b" 201 " in answer.split(b"\r\n", 1)[0]
    assert control.request("POST", PATH, {"bundle": other}).status in (200, 201)


def test_a_worker_goes_on_with_an_imported_run(
    start_server: StartServer, store_url: str
) -> None:
    server = start_server(store_url)
    control = operator(server.base_url, TEST_TOKEN)
    headers = {"Authorization": f"Bearer {TEST_TOKEN}", WORKER_HEADER: "1.20"}
    worker = JsonHttp(server.base_url, headers)
    me = {"worker_id": "W", "task_queue": "orders", "timeout_seconds": 20}
    worker.request("POST", "/api/worker/register", {**me, "runtime": "python"}).expect(
        201
    )
    control.request("POST", PATH, a_bundle()).expect(201)
    polled = worker.request("POST", "/api/worker/workflow-tasks/poll", me).expect(200)
    task = polled["task"]
    assert task["run_id"] == RUN_ID
    assert [event["event_type"] for event in task["history_events"]] == [
        "StartAccepted",
        "WorkflowStarted",
    ]
    done = {
        "lease_owner": "W",
        "workflow_task_attempt": task["workflow_task_attempt"],
        "commands": [{"type": "complete_workflow", "result": None}],
    }
    worker.request(
        "POST", f"/api/worker/workflow-tasks/{task['task_id']}/complete", done
    ).expect(200)
    assert control.request("GET", "/api/workflows/order-1").body["status"] == (
        "completed"
    )

"""Large payloads through a live server: moved to storage on their way in, referred to
wherever they are shown, and followed when clients refer to their own
(``spec/control-plane-api.md`` §6, §7, §13.4)."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import orjson
import pytest
from durable_workflow.external_storage import LocalFilesystemExternalStorage
from durable_workflow.serializer import (
    decode_envelope,
    envelope,
    external_storage_envelope,
)

from tests.http.input_cases import Body
from tests.support.json_http import (
    WORKER_HEADER,
    Answer,
    JsonHttp,
    operator,
    read_history,
)
from tests.support.ports import LOOPBACK, free_port
from tests.support.processes import TEST_TOKEN, StartServer
from tests.support.run_bundles import findings
from tests.support.s3_service import Bucket
from tests.support.server_process import ServerProcess

THRESHOLD = 64
SECRET = "secret-of-the-test"
LARGE = ["x" * 500]
POLL = {"worker_id": "worker-1", "task_queue": "orders", "timeout_seconds": 0}
SCHEMA = "durable-workflow.v2.external-payload-reference.v1"


class Storage(Protocol):
    """Where payloads go, seen from outside the server."""

    @property
    def policy(self) -> Body: ...
    @property
    def env(self) -> dict[str, str]: ...
    def read(self, uri: str) -> bytes: ...
    def write(self, name: str, data: bytes) -> str: ...
    def names(self) -> list[str]: ...


@dataclass
class LocalStorage:
    root: Path

    @property
    def policy(self) -> Body:
        config = {"uri": (self.root / "orders").as_uri()}
        return {"driver": "local", "threshold_bytes": THRESHOLD, "config": config}

    @property
    def env(self) -> dict[str, str]:
        return {"DW_EXTERNAL_STORAGE_LOCAL_ROOT": str(self.root)}

    def read(self, uri: str) -> bytes:
        return Path(uri.removeprefix("file://")).read_bytes()

    def write(self, name: str, data: bytes) -> str:
        path = self.root / "orders" / name
        path.parent.mkdir(exist_ok=True, parents=True)
        path.write_bytes(data)
        return path.as_uri()

    def names(self) -> list[str]:
        return [path.name for path in self.root.rglob("*") if path.is_file()]


@dataclass
class S3Storage:
    bucket: Bucket

    @property
    def policy(self) -> Body:
        config = {
            "bucket": self.bucket.name,
            "prefix": "orders/",
            "endpoint": self.bucket.endpoint,
            "auth_profile": "tests",
        }
        return {"driver": "s3", "threshold_bytes": THRESHOLD, "config": config}

    @property
    def env(self) -> dict[str, str]:
        keys = {"access_key_id": "AKIDEXAMPLE", "secret_access_key": SECRET}
        return {
            "DW_EXTERNAL_STORAGE_ENDPOINTS": self.bucket.endpoint,
            "DW_EXTERNAL_STORAGE_CREDENTIALS": orjson.dumps({"tests": keys}).decode(),
        }

    def read(self, uri: str) -> bytes:
        return self.bucket.read(uri.removeprefix(f"s3://{self.bucket.name}/"))

    def write(self, name: str, data: bytes) -> str:
        self.bucket.write(f"orders/{name}", data)
        return f"s3://{self.bucket.name}/orders/{name}"

    def names(self) -> list[str]:
        return [key.rpartition("/")[2] for key in self.bucket.objects()]


@pytest.fixture(params=["local", "s3"])
def storage(request: pytest.FixtureRequest, tmp_path: Path) -> Storage:
    if request.param == "local":
        return LocalStorage(tmp_path / "payloads")
    return S3Storage(request.getfixturevalue("bucket"))


@dataclass
class Planes:
    server: ServerProcess
    control: JsonHttp
    worker: JsonHttp
    storage: Storage

    @classmethod
    def of(cls, server: ServerProcess, storage: Storage) -> Planes:
        headers = {"Authorization": f"Bearer {TEST_TOKEN}", WORKER_HEADER: "1.20"}
        planes = cls(
            server,
            operator(server.base_url, TEST_TOKEN),
            JsonHttp(server.base_url, headers),
            storage,
        )
        planes.set_policy(storage.policy)
        planes.post("register", {**POLL, "runtime": "python"}).expect(201)
        return planes

    def set_policy(self, policy: Body) -> None:
        path = "/api/namespaces/default/external-storage"
        shown = self.control.request("PUT", path, policy).expect(200)
        assert shown["external_payload_storage"] == {"enabled": True, **policy}

    def start(self, workflow_id: str, value: Any) -> Answer:
        body = {
            "workflow_id": workflow_id,
            "workflow_type": "orders.Ship",
            "task_queue": "orders",
            "input": value,
        }
        return self.control.request("POST", "/api/workflows", body)

    def describe(self, workflow_id: str) -> Answer:
        return self.control.request("GET", f"/api/workflows/{workflow_id}")

    def export(self, workflow_id: str) -> Body:
        """The bundle of its current run, which nothing is wrong with."""
        run_id = self.describe(workflow_id).expect(200)["run_id"]
        path = f"/api/workflows/{workflow_id}/runs/{run_id}/history/export"
        bundle: Body = self.control.request("GET", path).expect(200)
        assert list(findings(orjson.dumps(bundle))) == []
        return bundle

    def post(self, path: str, body: Body) -> Answer:
        return self.worker.request("POST", f"/api/worker/{path}", body)

    def task(self, kind: str) -> Body:
        task: Body = self.post(f"{kind}-tasks/poll", POLL).expect(200)["task"]
        assert task is not None, f"no {kind} task"
        return task

    def complete(self, task: Body, *commands: Body) -> Answer:
        lease = {
            "lease_owner": "worker-1",
            "workflow_task_attempt": task["workflow_task_attempt"],
            "commands": list(commands),
        }
        return self.post(f"workflow-tasks/{task['task_id']}/complete", lease)

    def complete_activity(self, task: Body, result: Any) -> Answer:
        body = {
            "lease_owner": "worker-1",
            "activity_attempt_id": task["activity_attempt_id"],
            "result": result,
        }
        return self.post(f"activity-tasks/{task['task_id']}/complete", body)

    def referring(self, value: Any, name: str = "of-the-client") -> Body:
        """A reference to a blob that the client has put itself."""
        data = envelope(value)["blob"].encode()
        reference = {
            "schema": SCHEMA,
            "uri": self.storage.write(name, data),
            "sha256": hashlib.sha256(data).hexdigest(),
            "size_bytes": len(data),
            "codec": "avro",
        }
        return {"codec": "avro", "external_storage": reference}

    def assert_refers_to(self, shown: Any, value: Any) -> None:
        """``shown`` is an envelope of what lies in storage."""
        assert shown.keys() == {"codec", "external_storage"}, shown
        reference = shown["external_storage"]
        data = self.storage.read(reference["uri"])
        assert data.decode() == envelope(value)["blob"]
        assert reference == {
            "schema": SCHEMA,
            "uri": reference["uri"],
            "sha256": hashlib.sha256(data).hexdigest(),
            "size_bytes": len(data),
            "codec": "avro",
        }


@pytest.fixture
def planes(start_server: StartServer, store_url: str, storage: Storage) -> Planes:
    return Planes.of(start_server(store_url, storage.env), storage)


def test_a_run_whose_payloads_all_lie_outside(planes: Planes) -> None:
    result, output = {"r": "y" * 500}, {"o": "z" * 500}
    for status in (201, 409, 409):
        planes.start("order-1", envelope(LARGE)).expect(status)
    assert len(planes.storage.names()) == 1
    task = planes.task("workflow")
    planes.assert_refers_to(task["arguments"], LARGE)
    planes.complete(
        task,
        {
            "type": "schedule_activity",
            "activity_type": "a",
            "arguments": envelope(LARGE)["blob"],
        },
        {"type": "schedule_activity", "activity_type": "b", "arguments": ["small"]},
    ).expect(200)
    activities = [planes.task("activity"), planes.task("activity")]
    planes.assert_refers_to(activities[0]["arguments"], LARGE)
    assert decode_envelope(activities[1]["arguments"]) == ["small"]
    # Equal payloads share one blob.
    assert len(planes.storage.names()) == 1
    planes.complete_activity(activities[0], envelope(result)).expect(200)
    planes.complete_activity(activities[1], envelope("small")).expect(200)
    task = planes.task("workflow")
    done = [e for e in task["history_events"] if e["event_type"] == "ActivityCompleted"]
    planes.assert_refers_to(done[0]["payload"]["result"], result)
    assert done[1]["payload"]["result"] == envelope("small")["blob"]
    closing = {"type": "complete_workflow", "result": envelope(output)}
    planes.complete(task, closing).expect(200)
    shown = planes.describe("order-1").expect(200)
    assert (shown["input"], shown["output"]) == (LARGE, output)
    planes.assert_refers_to(shown["input_envelope"], LARGE)
    planes.assert_refers_to(shown["output_envelope"], output)
    events = read_history(planes.control, "order-1", shown["run_id"])
    planes.assert_refers_to(events[-1]["payload"]["output"], output)
    bundle = planes.export("order-1")
    planes.assert_refers_to(bundle["payloads"]["output"]["data"], output)
    planes.assert_refers_to(bundle["activities"][0]["result"], result)
    assert SECRET not in planes.server.log_text()


def test_references_of_clients_are_followed(planes: Planes) -> None:
    small = ["a"]
    planes.start("order-1", planes.referring(LARGE, "large")).expect(201)
    planes.start("order-2", planes.referring(small, "small")).expect(201)
    shown = planes.describe("order-1").expect(200)
    assert shown["input"] == LARGE
    planes.assert_refers_to(shown["input_envelope"], LARGE)
    # What is no larger than the threshold is at home in the database.
    shown = planes.describe("order-2").expect(200)
    assert shown["input_envelope"] == envelope(small)
    task = planes.task("workflow")
    command = {"type": "complete_workflow", "result": planes.referring(LARGE)}
    planes.complete(task, command).expect(200)
    shown = planes.describe(task["workflow_id"]).expect(200)
    assert shown["output"] == LARGE
    planes.assert_refers_to(shown["output_envelope"], LARGE)


Change = Callable[[Body], object]
WRONG: dict[str, Change] = {
    "schema": lambda reference: reference.update(schema="other"),
    "codec": lambda reference: reference.update(codec="json"),
    "another size": lambda reference: reference.update(size_bytes=1),
    "too large": lambda reference: reference.update(size_bytes=1 << 40),
    "another hash": lambda reference: reference.update(sha256="0" * 64),
    "nothing there": lambda reference: reference.update(
        uri=reference["uri"] + "-other"
    ),
    "up and out": lambda reference: reference.update(
        uri=reference["uri"] + "/../../secret"
    ),
    "a file of the machine": lambda reference: reference.update(
        uri="file:///etc/hostname"
    ),
    "another scheme": lambda reference: reference.update(uri="http://127.0.0.1/x"),
    "no uri": lambda reference: reference.pop("uri"),
}


def test_messages_carry_references(planes: Planes) -> None:
    """Of the client and of the server, sent three times, through to the worker."""
    post = planes.control.request
    sent = {"input": planes.referring(LARGE, "large"), "request_id": "r"}
    start = {"workflow_type": "orders.Ship", "task_queue": "orders"}
    path = "/api/workflows/order-1"
    with_start = f"{path}/signal-with-start/hello"
    body = {**start, "signal_input": sent["input"], "request_id": "s"}
    answers = [post("POST", with_start, body).expect(202) for _ in range(3)]
    answers += [post("POST", f"{path}/signal/go", sent).expect(202) for _ in range(3)]
    answers += [post("POST", f"{path}/update/set", sent).expect(202) for _ in range(3)]
    assert [answer["command_sequence"] for answer in answers] == [2] * 3 + [3] * 3 + [
        4
    ] * 3
    large = {"input": envelope(["y" * 500])}
    post("POST", f"{path}/signal/go", large).expect(202)
    small = {"input": planes.referring(["a"], "small")}
    post("POST", f"{path}/signal/go", small).expect(202)
    named = {"input": {"name": "x" * 500}}
    refused = post("POST", f"{path}/signal/go", named).expect(422)
    assert refused["reason"] == "invalid_signal_arguments"
    events = planes.task("workflow")["history_events"]
    shown = [e["payload"] for e in events if e["event_type"] == "SignalReceived"]
    for payload, value in zip(shown, (LARGE, LARGE, ["y" * 500]), strict=False):
        planes.assert_refers_to(payload["arguments"], value)
    assert shown[3]["arguments"] == envelope(["a"])
    [update] = [e for e in events if e["event_type"] == "UpdateAccepted"]
    planes.assert_refers_to(update["payload"]["arguments"], LARGE)
    planes.assert_refers_to(planes.export("order-1")["updates"][0]["arguments"], LARGE)
    for command in ("signal/go", "update/set", "query/look"):
        value = planes.referring(LARGE, "wrong")
        value["external_storage"]["sha256"] = "0" * 64
        refused = post("POST", f"{path}/{command}", {"input": value}).expect(422)
        assert list(refused["errors"]) == ["input.external_storage"]


def test_a_query_takes_its_arguments_along(planes: Planes) -> None:
    registration = {**POLL, "runtime": "python", "capabilities": ["query_tasks"]}
    planes.post("register", registration).expect(201)
    planes.start("order-1", ["small"]).expect(201)
    with ThreadPoolExecutor(1) as pool:
        asked = pool.submit(
            planes.control.request,
            "POST",
            "/api/workflows/order-1/query/look",
            {"input": planes.referring(LARGE)},
        )
        poll = {**POLL, "timeout_seconds": 20}
        task = planes.post("query-tasks/poll", poll).expect(200)["task"]
        assert decode_envelope(task["query_arguments"]) == LARGE
        done = {
            "lease_owner": "worker-1",
            "query_task_attempt": task["query_task_attempt"],
            "result": 7,
        }
        done_path = f"query-tasks/{task['query_task_id']}/complete"
        planes.post(done_path, done).expect(200)
        assert asked.result().expect(200)["result"] == 7


def test_wrong_references_are_refused_where_they_stand(planes: Planes) -> None:
    planes.start("order-1", ["small"]).expect(201)
    task = planes.task("workflow")
    for label, change in WRONG.items():
        value = planes.referring(LARGE, label.replace(" ", "-"))
        change(value["external_storage"])
        path = "input.external_storage" + (".codec" if label == "codec" else "")
        refused = planes.start("order-2", value).expect(422)
        assert list(refused["errors"]) == [path], label
        assert refused["control_plane"]["operation"] == "start"
        command = {"type": "complete_workflow", "result": value}
        refused = planes.complete(task, command).expect(422)
        expected = ["commands"] if label == "too large" else []
        expected = expected or [path.replace("input", "commands.0.result")]
        assert list(refused["errors"]) == expected, label
        assert refused["protocol_version"] == "1.20"
    planes.describe("order-2").expect(404)
    assert planes.describe("order-1").expect(200)["status"] != "completed"
    planes.complete(task, {"type": "complete_workflow"}).expect(200)


def test_the_storage_test_passes_and_leaves_nothing(planes: Planes) -> None:
    body = {"small_payload_bytes": 10, "large_payload_bytes": 16_777_216}
    for _ in range(3):
        answer = planes.control.request("POST", "/api/storage/test", body).expect(200)
        for size, byte in (("small", b"s"), ("large", b"l")):
            probe = answer[f"{size}_payload"]
            data = byte * body[f"{size}_payload_bytes"]
            assert probe["sha256"] == hashlib.sha256(data).hexdigest()
            assert probe["reference_uri"].endswith(
                f"/storage-test-{size}/{probe['sha256'][:2]}/{probe['sha256']}"
            )
    assert planes.storage.names() == []


def test_while_storage_is_away_only_large_payloads_fail(
    start_server: StartServer, sqlite_url: str, bucket: Bucket
) -> None:
    dead = f"http://{LOOPBACK}:{free_port()}"
    storage = S3Storage(bucket)
    env = {**storage.env, "DW_EXTERNAL_STORAGE_ENDPOINTS": f"{bucket.endpoint},{dead}"}
    planes = Planes.of(start_server(sqlite_url, env), storage)
    planes.start("order-1", envelope(LARGE)).expect(201)
    away = storage.policy
    away["config"]["endpoint"] = dead
    planes.set_policy(away)
    refused = planes.start("order-2", envelope(LARGE))
    assert refused.expect(503)["reason"] == "external_payload_storage_unavailable"
    outcome = "rejected_external_payload_storage_unavailable"
    assert refused.body["outcome"] == outcome
    assert refused.headers["retry-after"] == "1"
    planes.describe("order-2").expect(404)
    # What lies outside cannot be shown, but it is told where it is.
    shown = planes.describe("order-1").expect(200)
    assert shown["input"] is None
    planes.assert_refers_to(shown["input_envelope"], LARGE)
    task = planes.task("workflow")
    large = {"type": "complete_workflow", "result": envelope(LARGE)}
    failed = planes.complete(task, large).expect(503)
    assert failed["reason"] == "external_payload_storage_unavailable"
    assert failed["protocol_version"] == "1.20"
    body = {"small_payload_bytes": 1, "large_payload_bytes": 1}
    tested = planes.control.request("POST", "/api/storage/test", body).expect(503)
    assert tested["status"] == "failed"
    small = {"type": "complete_workflow", "result": envelope("small")}
    planes.complete(task, small).expect(200)
    text = planes.server.log_text()
    assert SECRET not in text
    assert LARGE[0] not in text


def test_the_official_sdk_reads_and_writes_the_same_storage(
    start_server: StartServer, sqlite_url: str, tmp_path: Path
) -> None:
    storage = LocalStorage(tmp_path / "payloads")
    planes = Planes.of(start_server(sqlite_url, storage.env), storage)
    official = LocalFilesystemExternalStorage(storage.root / "orders")
    sent = external_storage_envelope(
        LARGE, external_storage=official, threshold_bytes=THRESHOLD
    )
    assert "external_storage" in sent
    planes.start("order-1", sent).expect(201)
    # The server finds its own blob in place.
    assert len(storage.names()) == 1
    arguments = planes.task("workflow")["arguments"]
    assert decode_envelope(arguments, external_storage=official) == LARGE
    assert arguments == sent


def test_a_reference_needs_a_driver(start_server: StartServer, sqlite_url: str) -> None:
    server = start_server(sqlite_url)
    control = operator(server.base_url, TEST_TOKEN)
    reference = {
        "schema": SCHEMA,
        "uri": "file:///etc/hostname",
        "sha256": "0" * 64,
        "size_bytes": 1,
        "codec": "avro",
    }
    body = {
        "workflow_type": "t",
        "input": {"codec": "avro", "external_storage": reference},
    }
    refused = control.request("POST", "/api/workflows", body).expect(422)
    assert list(refused["errors"]) == ["input.external_storage"]
    tested = control.request(
        "POST",
        "/api/storage/test",
        {"small_payload_bytes": 1, "large_payload_bytes": 1},
    ).expect(422)
    assert tested["reason"] == "external_storage_not_configured"

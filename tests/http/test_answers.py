"""What the pipeline adds to the answers of handlers, and makes of their failures."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import pytest
import structlog

from dwserver.http.call import Call, Refusal, Reply
from dwserver.protocol.versions import WorkerVersion
from dwserver.services.catalog import Services
from tests.http.harness import (
    CONTROL,
    HOST,
    ROUTES,
    WORKER,
    Answer,
    Contended,
    DatabaseDown,
    Node,
    serving,
    with_handler,
)
from tests.support.waiting import eventually

COMPLETE = "POST /api/worker/workflow-tasks/{task_id}/complete"
COMPLETE_PATH = "/api/worker/workflow-tasks/t-1/complete"
SCHEDULES = "GET /api/schedules"
SCHEDULES_PATH = "/api/schedules"
SIGNAL = "POST /api/workflows/{workflow_id}/signal/{signal_name}"
HISTORY = "GET /api/workflows/{workflow_id}/runs/{run_id}/history"
HISTORY_PATH = "/api/workflows/w%201/runs/r-1/history"
CONTROL_HEADER = "X-Durable-Workflow-Control-Plane-Version"
WORKER_HEADER = "X-Durable-Workflow-Protocol-Version"


async def ask(
    label: str,
    handler: Callable[[Services, Call], object],
    *,
    headers: dict[str, str] | None = None,
    node: Node | None = None,
    path: str | None = None,
) -> Answer:
    method, _, template = label.partition(" ")
    plane = WORKER if "/api/worker/" in template else CONTROL
    pipeline = (node or Node()).pipeline(with_handler(label, handler))  # type: ignore[arg-type]
    async with serving(pipeline) as client:
        return await client.send(method, path or template, plane | (headers or {}))


def replying(reply: Reply) -> Callable[[Services, Call], object]:
    async def answer(_services: Services, _call: Call) -> Reply:
        return reply

    return answer


def failing(error: Exception) -> Callable[[Services, Call], object]:
    async def fail(_services: Services, _call: Call) -> Reply:
        raise error

    return fail


# envelopes
@pytest.mark.parametrize(
    "body", [{"recorded": True}, b'{"recorded":true}', {}], ids=["dict", "bytes", "{}"]
)
async def test_worker_answer_gets_version_and_capabilities(
    body: dict[str, object] | bytes,
) -> None:
    answer = await ask(COMPLETE, replying(Reply(200, body)), path=COMPLETE_PATH)
    own = {} if body == {} else {"recorded": True}
    capabilities = answer.body["server_capabilities"]
    assert answer.body == {
        **own,
        "protocol_version": "1.20",
        "server_capabilities": capabilities,
    }
    assert "upsert_memo" in capabilities["supported_workflow_task_commands"]
    assert answer.headers[WORKER_HEADER] == "1.20"
    assert CONTROL_HEADER not in answer.headers


@pytest.mark.parametrize("sent", ["1.0", "1.1", " 1.7 "])
async def test_worker_hears_the_version_that_it_speaks(sent: str) -> None:
    spoken: list[WorkerVersion | None] = []

    async def note(_services: Services, call: Call) -> Reply:
        spoken.append(call.worker_version)
        return Reply(200, {})

    answer = await ask(
        COMPLETE, note, path=COMPLETE_PATH, headers={WORKER_HEADER: sent}
    )
    assert spoken == [WorkerVersion.parse(sent.strip())]
    assert answer.body["protocol_version"] == sent.strip()
    assert answer.headers[WORKER_HEADER] == sent.strip()
    commands = answer.body["server_capabilities"]["supported_workflow_task_commands"]
    assert "upsert_memo" not in commands


async def test_refused_worker_hears_the_advertised_version() -> None:
    answer = await ask(
        COMPLETE,
        replying(Reply(200, {})),
        path=COMPLETE_PATH,
        headers={WORKER_HEADER: "1.1"},
        node=Node(advertised="1.0"),
    )
    assert (answer.status, answer.body["protocol_version"]) == (400, "1.0")
    assert answer.body["requested_version"] == "1.1"


async def test_control_answer_has_its_header_and_nothing_of_workers() -> None:
    answer = await ask(
        SCHEDULES, replying(Reply(200, {"a": 1})), headers={WORKER_HEADER: "1.0"}
    )
    assert answer.body == {"a": 1}
    assert answer.headers[CONTROL_HEADER] == "2"
    assert WORKER_HEADER not in answer.headers
    assert answer.headers["Content-Type"] == "application/json"


@pytest.mark.parametrize("is_joined", [False, True])
async def test_workflow_answer_gets_the_nested_object(is_joined: bool) -> None:
    members = {"events": [1, 2], "next_page_token": None}
    reply = Reply(200, members)
    if is_joined:
        projected = {"next_page_token": None}
        text = b'{"events":[1,2],"next_page_token":null}'
        reply = Reply(200, text, projected=projected)
    answer = await ask(HISTORY, replying(reply), path=HISTORY_PATH)
    body = answer.body
    contract = body["control_plane"].pop("contract")
    assert body == {
        **members,
        "workflow_id": "w 1",
        "run_id": "r-1",
        "control_plane": {
            "schema": "durable-workflow.v2.control-plane-response",
            "version": 1,
            "operation": "history",
            "workflow_id": "w 1",
            "run_id": "r-1",
            "next_page_token": None,
        },
    }
    assert contract["required_fields"] == ["workflow_id", "run_id"]


async def test_ids_of_the_answer_win_over_those_of_the_path() -> None:
    reply = Reply(200, {"workflow_id": "other"})
    answer = await ask(HISTORY, replying(reply), path=HISTORY_PATH)
    assert answer.body["workflow_id"] == "other"
    assert answer.body["control_plane"]["workflow_id"] == "other"


async def test_command_answer_names_its_operation() -> None:
    async with serving(Node().pipeline(ROUTES)) as client:
        answer = await client.send(
            "POST", "/api/workflows/w-1/signal/app%20rove", CONTROL
        )
    nested = answer.body["control_plane"]
    assert nested["operation"] == "signal"
    assert nested["operation_name"] == "app rove"
    assert nested["operation_name_field"] == "signal_name"


# refusals and failures
async def test_refusal_is_told_in_the_words_of_its_plane() -> None:
    refusal = Refusal(404, "run_not_found", "It is gone.", run_id="r-1")
    worker = await ask(COMPLETE, failing(refusal), path=COMPLETE_PATH)
    control = await ask(SCHEDULES, failing(refusal))
    assert worker.status == control.status == 404
    assert control.body == {
        "message": "It is gone.",
        "reason": "run_not_found",
        "run_id": "r-1",
    }
    assert worker.body["error"] == worker.body["message"] == "It is gone."
    assert worker.body["protocol_version"] == "1.20"


@pytest.mark.parametrize(
    ("label", "path", "reason"),
    [
        (COMPLETE, COMPLETE_PATH, "server_error"),
        (SCHEDULES, "/api/schedules", "control_plane_internal_error"),
        (HISTORY, HISTORY_PATH, "control_plane_internal_error"),
    ],
)
async def test_unexpected_failure_hides_its_cause(
    label: str, path: str, reason: str
) -> None:
    with structlog.testing.capture_logs() as logs:
        answer = await ask(label, failing(KeyError("the secret detail")), path=path)
    assert (answer.status, answer.body["reason"]) == (500, reason)
    assert answer.body["error_id"] == answer.headers["X-Request-Id"]
    assert answer.body["message"]
    assert b"secret detail" not in answer.raw
    failure = next(log for log in logs if log["event"] == "http_request_failed")
    assert isinstance(failure["exc_info"], KeyError)


@pytest.mark.parametrize(
    ("error", "reason"),
    [
        (DatabaseDown("dsn with password"), "backend_unavailable"),
        (Contended("r-1"), "backend_lock_pressure"),
    ],
)
@pytest.mark.parametrize(
    ("label", "path"), [(COMPLETE, COMPLETE_PATH), (HISTORY, HISTORY_PATH)]
)
async def test_backend_failure_asks_to_repeat(
    label: str, path: str, error: Exception, reason: str
) -> None:
    answer = await ask(label, failing(error), path=path)
    assert (answer.status, answer.body["reason"]) == (503, reason)
    assert answer.body["retryable"] is True
    assert answer.headers["Retry-After"] == str(answer.body["retry_after_seconds"])
    assert b"password" not in answer.raw


async def test_answer_that_is_no_json_is_a_failure() -> None:
    for broken in (
        replying(Reply(200, {"a": {1, 2}})),
        failing(Refusal(409, "run_closed", "x", extra={1, 2})),
    ):
        answer = await ask(SCHEDULES, broken)
        assert answer.status == 500
        assert answer.body["reason"] == "control_plane_internal_error"


# request ids, logs, metrics
@pytest.mark.parametrize(
    ("label", "path", "ids"),
    [
        (COMPLETE, COMPLETE_PATH, {"task_id": "t-1"}),
        (HISTORY, HISTORY_PATH, {"workflow_id": "w 1", "run_id": "r-1"}),
        (SIGNAL, "/api/workflows/w-1/signal/card-4711", {"workflow_id": "w-1"}),
        (SCHEDULES, SCHEDULES_PATH, {}),
    ],
)
async def test_log_has_the_ids_of_the_path_and_nothing_else_of_it(
    label: str, path: str, ids: dict[str, str]
) -> None:
    for error, events in (
        (KeyError("x"), ["http_request_failed", "http_request"]),
        (DatabaseDown("x"), ["backend_failed", "http_request"]),
        (Contended("x"), ["backend_failed", "http_request"]),
    ):
        with structlog.testing.capture_logs() as logs:
            await ask(label, failing(error), path=path)
        logs = [log for log in logs if log["event"] != "http_listening"]
        assert [log["event"] for log in logs] == events
        for log in logs:
            found = {name: v for name, v in log.items() if name.endswith("_id")}
            assert found == ids
            # Its digits may be any.
            log.pop("seconds", None)
            assert "4711" not in repr(log)


@pytest.mark.parametrize(
    ("sent", "shown"),
    [
        (b"x" * 300, "x" * 255),
        (b"a%0Ab", r"a\nb"),
        (b"%C3%BC", r"\xfc"),
        (b"%01" * 300, (r"\x01" * 64)[:255]),
    ],
    ids=["long", "newline", "not-ascii", "long-when-escaped"],
)
async def test_log_shows_an_id_cut_and_escaped(sent: bytes, shown: str) -> None:
    pipeline = Node().pipeline(with_handler(COMPLETE, failing(KeyError("x"))))
    head = b"".join(f"{name}: {v}\r\n".encode() for name, v in WORKER.items())
    target = b"/api/worker/workflow-tasks/" + sent + b"/complete"
    async with serving(pipeline) as client:
        with structlog.testing.capture_logs() as logs:
            await client.send_raw(
                b"POST " + target + b" HTTP/1.1\r\nHost: x\r\n"
                b"Connection: close\r\n" + head + b"\r\n"
            )
    assert [log["task_id"] for log in logs] == [shown, shown]


@pytest.mark.parametrize(
    ("sent", "is_kept"),
    [("req-1/a:b", True), ("x" * 128, True), ("x" * 129, False), ("a b", False)],
)
async def test_request_id_is_kept_when_it_can_be_shown(
    sent: str, is_kept: bool
) -> None:
    seen: list[str] = []

    async def note(_services: Services, call: Call) -> Reply:
        seen.append(call.request_id)
        return Reply(200, structlog.contextvars.get_contextvars())

    answer = await ask(SCHEDULES, note, headers={"X-Request-Id": sent})
    assert (answer.headers["X-Request-Id"] == sent) is is_kept
    assert seen == [answer.headers["X-Request-Id"]]
    assert answer.body == {"request_id": seen[0]}


async def test_requests_are_counted_by_route_and_status() -> None:
    node = Node()
    async with serving(node.pipeline(ROUTES)) as client:
        await client.send("GET", "/api/schedules", CONTROL)
        await client.send("GET", "/api/schedules", {})
        await client.send("GET", "/api/nope-1", CONTROL)
        await client.send("GET", "/api/nope-2", CONTROL)
    text = node.metrics.exposition().decode()
    for labels, count in (
        ('operation="GET /api/schedules",status_class="2xx"', 1),
        ('operation="GET /api/schedules",status_class="4xx"', 1),
        ('operation="unmatched",status_class="4xx"', 2),
    ):
        assert f"dw_http_requests_total{{{labels}}} {count}.0" in text
        assert f"dw_http_request_seconds_count{{{labels}}} {count}.0" in text


# methods
async def test_head_is_a_get_without_its_body() -> None:
    async with serving(Node().pipeline(ROUTES)) as client:
        got = await client.send("GET", "/api/schedules", CONTROL)
        head = await client.send("HEAD", "/api/schedules", CONTROL)
    assert (head.status, head.raw) == (200, b"")
    assert head.headers["Content-Length"] == str(len(got.raw))


async def test_options_answers_a_known_path_without_credentials() -> None:
    async with serving(Node().pipeline(ROUTES)) as client:
        known = await client.send("OPTIONS", "/api/workflows")
        worker = await client.send("OPTIONS", "/api/worker/register")
        unknown = await client.send("OPTIONS", "/api/nope")
    assert (known.status, known.raw) == (200, b"")
    assert known.headers["Allow"] == "GET, HEAD, POST, OPTIONS"
    assert worker.headers["Allow"] == "POST, OPTIONS"
    assert unknown.status == 404


async def test_wrong_method_names_the_right_ones() -> None:
    async with serving(Node().pipeline(ROUTES)) as client:
        answer = await client.send("DELETE", "/api/workflows", CONTROL)
    assert answer.headers["Allow"] == "GET, HEAD, POST"
    assert "GET, HEAD, POST" in answer.body["message"]


# namespaces and queries
@pytest.mark.parametrize(
    ("path", "header", "namespace"),
    [
        ("", None, "default"),
        ("?namespace=Other", None, "other"),
        ("?namespace=", None, "default"),
        ("?namespace=nope&namespace=other", None, "other"),
        ("?namespace=nope", "OTHER", "other"),
        ("?namespace=%00", None, None),
        ("?namespace=nope", None, None),
        ("", "", None),
    ],
)
async def test_namespace_is_found_or_refused(
    path: str, header: str | None, namespace: str | None
) -> None:
    async def show(_services: Services, call: Call) -> Reply:
        return Reply(200, {"namespace": call.namespace})

    node = Node(namespaces=frozenset({"default", "other"}))
    headers = {} if header is None else {"X-Namespace": header}
    answer = await ask(
        SCHEDULES, show, headers=headers, node=node, path=f"/api/schedules{path}"
    )
    if namespace is None:
        assert (answer.status, answer.body["reason"]) == (404, "namespace_not_found")
    else:
        assert answer.body == {"namespace": namespace}


async def test_query_words_are_decoded() -> None:
    async def show(_services: Services, call: Call) -> Reply:
        return Reply(200, dict(call.query))

    answer = await ask(SCHEDULES, show, path="/api/schedules?a=1&b=x%20y+z&c&d=%FF")
    assert answer.body == {
        "a": "1",
        "b": "x y z",
        "c": "",
        "d": "\N{REPLACEMENT CHARACTER}",
    }


async def test_absolute_request_target_is_understood() -> None:
    headers = "\r\n".join(f"{name}: {value}" for name, value in CONTROL.items())
    async with serving(Node().pipeline(ROUTES)) as client:
        answer = await client.send_raw(
            f"GET http://{HOST}/api/schedules?x=1 HTTP/1.1\r\nHost: {HOST}\r\n"
            f"Connection: close\r\n{headers}\r\n\r\n".encode()
        )
    assert answer.startswith(b"HTTP/1.1 200 ")


# undelivered answers
async def test_answer_that_nobody_takes_is_given_back() -> None:
    given_back = asyncio.Event()
    is_waiting = asyncio.Event()
    may_answer = asyncio.Event()
    calls: list[Call] = []

    async def give_back() -> None:
        given_back.set()

    async def answer_late(_services: Services, call: Call) -> Reply:
        calls.append(call)
        is_waiting.set()
        await may_answer.wait()
        return Reply(200, {"task": 1}, on_undelivered=give_back)

    headers = "\r\n".join(f"{name}: {value}" for name, value in WORKER.items())
    request = f"POST {COMPLETE_PATH} HTTP/1.1\r\nHost: x\r\n{headers}\r\n\r\n"
    async with serving(Node().pipeline(with_handler(COMPLETE, answer_late))) as client:
        _, writer = await asyncio.open_connection(HOST, client.port)
        writer.write(request.encode())
        await is_waiting.wait()
        assert calls[0].is_connected()
        writer.transport.abort()
        await eventually(lambda: not calls[0].is_connected(), what="hang-up noticed")
        may_answer.set()
        await asyncio.wait_for(given_back.wait(), 10)


async def test_answer_that_is_taken_is_kept() -> None:
    given_back: list[bool] = []

    async def give_back() -> None:
        given_back.append(True)

    reply = Reply(200, {"task": 1}, on_undelivered=give_back)
    answer = await ask(COMPLETE, replying(reply), path=COMPLETE_PATH)
    assert answer.body["task"] == 1
    assert not given_back


async def test_answer_that_cannot_be_rendered_is_given_back() -> None:
    given_back: list[bool] = []

    async def give_back() -> None:
        given_back.append(True)

    reply = Reply(200, {"task": {1}}, on_undelivered=give_back)
    answer = await ask(COMPLETE, replying(reply), path=COMPLETE_PATH)
    assert answer.status == 500
    assert given_back == [True]

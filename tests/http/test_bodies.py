"""Request bodies: sizes, media types, and JSON that no parser may fall over."""

from __future__ import annotations

import asyncio

import pytest

from dwserver.http.call import Call, Reply
from dwserver.protocol.payloads.json_bounds import MAX_DEPTH
from dwserver.services.catalog import Services
from tests.http.harness import (
    CONTROL,
    HOST,
    ROUTES,
    WORKER,
    Answer,
    Node,
    serving,
    with_handler,
)

PATH = "/api/workflows"
JSON = {"Content-Type": "application/json"}
LIMIT = 1000


async def echo(_services: Services, call: Call) -> Reply:
    return Reply(200, {"echo": call.body})


async def send(
    body: bytes | None, headers: dict[str, str] = JSON, *, method: str = "POST"
) -> Answer:
    routes = with_handler(f"{method} {PATH}", echo)
    async with serving(Node(max_body_bytes=LIMIT).pipeline(routes)) as client:
        return await client.send(method, PATH, CONTROL | headers, body=body)


@pytest.mark.parametrize(
    "body",
    [
        b"{",
        b" ",
        b"{}{}",
        b"{'a':1}",
        b'{"a":NaN}',
        b'{"a":Infinity}',
        b'{"a":-Infinity}',
        b'{"a":01}',
        b'{"a":1e400}',
        b'{"a":1,}',
        b'{"a":"\xff\xfe"}',
        b'{"a":"\\ud800"}',
        b'{"a":"\x00"}',
        b"\xef\xbb\xbf{}",
        b"\xff\xfe{\x00}\x00",
        b"[" * 900,
        b"[" * (MAX_DEPTH + 2) + b"]" * (MAX_DEPTH + 2),
        b'{"a":' + b"[" * MAX_DEPTH + b"]" * MAX_DEPTH + b"}",
    ],
    ids=lambda body: repr(body[:12]),
)
async def test_malformed_json_is_refused(body: bytes) -> None:
    answer = await send(body)
    assert (answer.status, answer.body["reason"]) == (400, "malformed_json")
    assert answer.body["json_error"]


async def test_deeply_nested_megabytes_are_refused_not_feared() -> None:
    body = b"[" * 1_000_000
    async with serving(Node().pipeline(ROUTES)) as client:
        answer = await client.send("POST", PATH, CONTROL | JSON, body=body)
    assert answer.body["reason"] == "malformed_json"


@pytest.mark.parametrize(
    ("body", "parsed"),
    [
        (b'{"a":1,"a":2}', {"a": 2}),
        (b'  {"a": [1.0, null]}\n', {"a": [1.0, None]}),
        (b'{"a":18446744073709551615}', {"a": 18446744073709551615}),
        (b'{"a":18446744073709551616}', {"a": 18446744073709551616.0}),
        (b'{"a":"  kept  "}', {"a": "  kept  "}),
        (b"[1,2]", [1, 2]),
        (b"null", None),
        (b'"text"', "text"),
        (b"", {}),
        (b"[" * 3 + b"]" * 3, [[[]]]),
    ],
    ids=lambda value: repr(value)[:24],
)
async def test_other_json_reaches_the_handler(body: bytes, parsed: object) -> None:
    answer = await send(body)
    assert answer.status == 200
    assert answer.body["echo"] == parsed


@pytest.mark.parametrize(
    ("content_type", "is_accepted"),
    [
        ("application/json", True),
        ("application/json; charset=utf-8", True),
        (" Application/JSON ;x=y", True),
        ("application/vnd.api+json", True),
        ("application/problem+JSON", True),
        ("application/x-www-form-urlencoded", False),
        ("multipart/form-data; boundary=x", False),
        ("text/json", False),
        ("application/jsonp", False),
        ("+json-ish", False),
        ("", False),
        (None, False),
    ],
)
async def test_media_type_must_be_json(
    content_type: str | None, is_accepted: bool
) -> None:
    headers = {} if content_type is None else {"Content-Type": content_type}
    answer = await send(b"{}", headers)
    assert answer.status == (200 if is_accepted else 415)
    if not is_accepted:
        assert answer.body["accepted_content_types"] == [
            "application/json",
            "application/*+json",
        ]


async def test_empty_body_needs_no_media_type() -> None:
    answer = await send(None, {})
    assert answer.body["echo"] == {}


async def test_body_of_a_get_means_nothing_but_counts() -> None:
    ignored = await send(b"{bad", JSON, method="GET")
    refused = await send(b"x" * (LIMIT + 1), JSON, method="GET")
    assert ignored.body["echo"] == {}
    assert refused.status == 413


async def test_body_of_exactly_the_limit_passes() -> None:
    exact = b'{"a":"%s"}' % (b"x" * (LIMIT - len(b'{"a":""}')))
    assert len(exact) == LIMIT
    assert (await send(exact)).status == 200
    assert (await send(exact + b" ")).status == 413


def raw_request(headers: dict[str, str], body: bytes, path: str = PATH) -> bytes:
    lines = [f"POST {path} HTTP/1.1", f"Host: {HOST}", "Connection: close"]
    lines += [f"{name}: {value}" for name, value in headers.items()]
    head = "\r\n".join(lines).encode("utf-8", "surrogateescape")
    return head + b"\r\n\r\n" + body


async def test_chunked_body_is_cut_off_at_the_limit() -> None:
    chunk = b"200\r\n" + b"x" * 512 + b"\r\n"
    headers = {**CONTROL, **JSON, "Transfer-Encoding": "chunked"}
    async with serving(Node(max_body_bytes=LIMIT).pipeline(ROUTES)) as client:
        answer = await client.send_raw(raw_request(headers, chunk * 3 + b"0\r\n\r\n"))
    assert answer.startswith(b"HTTP/1.1 413 ")
    assert b'"limit":1000' in answer


async def test_chunked_body_is_put_together() -> None:
    body = b'3\r\n{"a\r\n5\r\n":[1]\r\n1\r\n}\r\n0\r\n\r\n'
    headers = {**CONTROL, **JSON, "Transfer-Encoding": "chunked"}
    async with serving(Node().pipeline(with_handler(f"POST {PATH}", echo))) as client:
        answer = await client.send_raw(raw_request(headers, body))
    assert b'"echo":{"a":[1]}' in answer


async def test_declared_length_over_the_limit_is_refused_unread() -> None:
    headers = {**CONTROL, **JSON, "Content-Length": "5000", "Expect": "100-continue"}
    async with serving(Node(max_body_bytes=LIMIT).pipeline(ROUTES)) as client:
        answer = await first_answer(client.port, raw_request(headers, b""))
    assert answer.startswith(b"HTTP/1.1 413 ")


async def test_client_that_waits_is_told_to_continue() -> None:
    headers = {**CONTROL, **JSON, "Content-Length": "2", "Expect": "100-continue"}
    routes = with_handler(f"POST {PATH}", echo)
    async with serving(Node().pipeline(routes)) as client:
        reader, writer = await asyncio.open_connection(HOST, client.port)
        writer.write(raw_request(headers, b""))
        assert await reader.readuntil(b"\r\n\r\n") == b"HTTP/1.1 100 Continue\r\n\r\n"
        writer.write(b"{}")
        rest = await reader.read()
        writer.close()
        await writer.wait_closed()
    assert rest.startswith(b"HTTP/1.1 200 OK\r\n")
    assert b'"echo":{}' in rest


async def first_answer(port: int, request: bytes) -> bytes:
    reader, writer = await asyncio.open_connection(HOST, port)
    writer.write(request)
    head = await reader.readuntil(b"\r\n\r\n")
    writer.close()
    await writer.wait_closed()
    return head


@pytest.mark.parametrize(
    ("header", "value", "reason"),
    [
        ("X-Namespace", "caf\udce9", "namespace_not_found"),
        (
            "X-Durable-Workflow-Protocol-Version",
            "1.\udcff",
            "unsupported_protocol_version",
        ),
        ("Authorization", "Bearer \udcff", "unauthorized"),
        ("X-Request-Id", "\udcff", "validation_failed"),
    ],
)
async def test_header_that_is_no_utf8_is_refused_in_the_envelope(
    header: str, value: str, reason: str
) -> None:
    request = raw_request({**WORKER, header: value}, b"", "/api/worker/register")
    async with serving(Node().pipeline(ROUTES)) as client:
        answer = await client.send_raw(request)
    assert 400 <= int(answer.split(b" ", 2)[1]) < 500
    assert f'"reason":"{reason}"'.encode() in answer
    assert b'"server_capabilities"' in answer


async def test_path_that_is_no_utf8_is_not_found() -> None:
    async with serving(Node().pipeline(ROUTES)) as client:
        answer = await client.send_raw(
            b"GET /api/\xff\xfe HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"
        )
    assert int(answer.split(b" ", 2)[1]) in (400, 404)

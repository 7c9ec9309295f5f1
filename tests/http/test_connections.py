"""Connections: what is a request, in which order they are answered, when they end."""

from __future__ import annotations

import asyncio
import socket

import pytest

from dwserver.http import connection as connections
from dwserver.http.answer import Answer
from dwserver.http.call import Call, Reply
from dwserver.http.connection import Connection
from dwserver.http.request import Request
from dwserver.http.request_reader import (
    MAX_FRAMING_BYTES,
    MAX_HEAD_BYTES,
    MAX_HEADERS,
    MAX_LINE_BYTES,
)
from dwserver.services.catalog import Services
from tests.http.harness import CONTROL, HOST, ROUTES, Node, serving, with_handler

SCHEDULES = "GET /api/schedules"
START = "POST /api/workflows"
FIELDS = "".join(f"{name}: {value}\r\n" for name, value in CONTROL.items())
JSON = "Content-Type: application/json\r\n"


def request(target: str = "/api/schedules", *, lines: str = "") -> bytes:
    return f"GET {target} HTTP/1.1\r\nHost: x\r\n{FIELDS}{lines}\r\n".encode()


def start(lines: str, body: bytes) -> bytes:
    head = f"POST /api/workflows HTTP/1.1\r\nHost: x\r\n{FIELDS}{JSON}{lines}\r\n"
    return head.encode() + body


LAST = request(lines="Connection: close\r\n")


async def tell(_services: Services, call: Call) -> Reply:
    return Reply(200, {"query": dict(call.query), "body": call.body})


async def test_requests_that_come_together_are_answered_in_their_order() -> None:
    steps: list[str] = []
    first_began, first_may_end = asyncio.Event(), asyncio.Event()

    async def note(_services: Services, call: Call) -> Reply:
        name = call.query["n"]
        steps.append(f"begin {name}")
        if name == "0":
            first_began.set()
            await first_may_end.wait()
        steps.append(f"end {name}")
        return Reply(200, {"n": name})

    total = 40
    sent = b"".join(request(f"/api/schedules?n={n}") for n in range(total - 1))
    sent += request(f"/api/schedules?n={total - 1}", lines="Connection: close\r\n")
    async with serving(Node().pipeline(with_handler(SCHEDULES, note))) as client:
        answers = asyncio.create_task(client.send_raw(sent))
        await asyncio.wait_for(first_began.wait(), 10)
        first_may_end.set()
        received = await asyncio.wait_for(answers, 10)
    assert steps == [f"{step} {n}" for n in range(total) for step in ("begin", "end")]
    places = [received.index(b'"n":"%d"' % n) for n in range(total)]
    assert places == sorted(places)


async def test_request_that_comes_byte_by_byte_is_one_request() -> None:
    body = b'{"workflow_type":"x"}'
    sent = start(f"Connection: close\r\nContent-Length: {len(body)}\r\n", body)
    async with serving(Node().pipeline(with_handler(START, tell))) as client:
        reader, writer = await asyncio.open_connection(HOST, client.port)
        for position in range(len(sent)):
            writer.write(sent[position : position + 1])
            await writer.drain()
        received = await asyncio.wait_for(reader.read(), 10)
        writer.close()
    assert received.startswith(b"HTTP/1.1 200 ")
    assert b'"workflow_type":"x"' in received


@pytest.mark.parametrize(
    "sent",
    [
        b"nonsense\r\n\r\n",
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
        b"GET /api/schedules HTTP/1.1\r\nHost x\r\n\r\n",
        b"GET /api/schedules HTTP/1.1\r\nHost: x\r\n folded\r\n\r\n",
        b"GET /api/schedules HTTP/1.1\r\nHost : x\r\n\r\n",
        b"GET /api/schedules HTTP/1.1\r\nHost: x\0y\r\n\r\n",
        b"GET /api/schedules HTTP/3.0\r\nHost: x\r\n\r\n",
        start("Content-Length: -1\r\n", b""),
        start("Content-Length: 1\r\nContent-Length: 2\r\n", b"{}"),
        start("Content-Length: 99999999999999999999\r\n", b"{}"),
        start("Content-Length: 2\r\nTransfer-Encoding: chunked\r\n", b"0\r\n\r\n"),
        start("Transfer-Encoding: chunked\r\n", b"zz\r\n{}\r\n0\r\n\r\n"),
        start("Transfer-Encoding: gzip\r\n", b"{}"),
        b"GET /api/schedules HTTP/1.1\r\n\r\n",
        request(lines="Host: y\r\n"),
        request(lines="X: y\r\n" * (MAX_HEADERS + 1)),
        request(lines=f"X: {'y' * 8_000}\r\n" * 9),
        request(lines=f"X: {'y' * (MAX_LINE_BYTES + 1)}\r\n"),
        request(f"/api/{'y' * MAX_LINE_BYTES}"),
        b"GET /" + b"y" * 4 * MAX_HEAD_BYTES,
    ],
    ids=lambda sent: repr(sent[-24:]),
)
async def test_what_is_no_request_is_refused_and_ends_the_connection(
    sent: bytes,
) -> None:
    async with serving(Node().pipeline(ROUTES)) as client:
        received = await asyncio.wait_for(client.send_raw(sent), 10)
    head, _, body = received.partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 400 Bad Request\r\n")
    assert b"\r\nConnection: close\r\n" in head
    assert b'"reason":"malformed_request"' in body


async def test_answers_before_bytes_that_are_no_request_arrive() -> None:
    async with serving(Node().pipeline(ROUTES)) as client:
        received = await asyncio.wait_for(client.send_raw(request() + b"\0" * 9), 10)
    assert received.startswith(b"HTTP/1.1 200 ")
    assert received.count(b"HTTP/1.1 ") == 1


async def test_largest_head_is_understood() -> None:
    lines = f"X: {'y' * MAX_LINE_BYTES}\r\n" * 7 + "Connection: close\r\n"
    async with serving(Node().pipeline(ROUTES)) as client:
        received = await client.send_raw(request(lines=lines))
    assert received.startswith(b"HTTP/1.1 200 ")


async def test_wish_for_another_protocol_is_passed_over() -> None:
    lines = (
        "Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: A\r\n"
    )
    async with serving(Node().pipeline(ROUTES)) as client:
        received = await asyncio.wait_for(
            client.send_raw(request(lines=lines) + b"PRI * HTTP/2.0\r\n\r\nSM\r\n"), 10
        )
    assert received.startswith(b"HTTP/1.1 200 ")
    assert b"\r\nConnection: close\r\n" in received
    assert received.count(b"HTTP/1.1 ") == 1


async def test_refusal_of_a_large_body_arrives_although_the_body_still_comes() -> None:
    size = 3_000_000
    sent = start(f"Content-Length: {size}\r\n", b"x" * size)
    async with serving(Node(max_body_bytes=1_000).pipeline(ROUTES)) as client:
        received = await asyncio.wait_for(client.send_raw(sent + LAST), 10)
    assert received.startswith(b"HTTP/1.1 413 ")
    assert b"\r\nConnection: close\r\n" in received
    assert received.count(b"HTTP/1.1 ") == 1


async def test_rest_of_a_large_body_is_not_waited_for_without_end(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(connections, "_LINGER_SECONDS", 0.01)
    sent = start("Content-Length: 3000000\r\n", b"x")
    async with serving(Node(max_body_bytes=1_000).pipeline(ROUTES)) as client:
        received = await asyncio.wait_for(client.send_raw(sent), 10)
    assert received.startswith(b"HTTP/1.1 413 ")


async def test_client_that_does_not_read_is_not_answered_without_end() -> None:
    answered = 0

    async def answer(_services: Services, _call: Call) -> Reply:
        nonlocal answered
        answered += 1
        return Reply(200, b'{"x":"%b"}' % (b"y" * 1_000_000))

    total = 60
    async with serving(Node().pipeline(with_handler(SCHEDULES, answer))) as client:
        reader, writer = await asyncio.open_connection(HOST, client.port, limit=1024)
        writer.transport.pause_reading()
        writer.write(request() * (total - 1) + LAST)
        before = -1
        while answered != before:
            before = answered
            for _ in range(200):
                await asyncio.sleep(0)
        assert 0 < answered < total
        writer.transport.resume_reading()
        received = 0
        while chunk := await asyncio.wait_for(reader.read(1 << 20), 10):
            received += len(chunk)
        writer.close()
    assert answered == total
    assert received > total * 1_000_000


class Busy:
    """Who has something to answer; whoever asks waits for ever."""

    max_body_bytes = 1024
    is_closing = False

    def __init__(self) -> None:
        self.connections: set[Connection] = set()
        self.lost_one = asyncio.Event()

    async def handle(self, _: Request) -> Answer:
        return await asyncio.get_running_loop().create_future()

    def opened(self, _: Connection) -> None:
        """Of no interest here."""

    def busy(self, connection: Connection) -> None:
        self.connections.add(connection)

    def idle(self, connection: Connection) -> None:
        self.connections.discard(connection)

    def lost(self, _: Connection) -> None:
        self.lost_one.set()


@pytest.mark.parametrize("has_begun", [False, True])
async def test_connection_that_is_cancelled_is_busy_no_more(has_begun: bool) -> None:
    listener = Busy()
    connection = Connection(listener)
    ours, theirs = socket.socketpair()
    with theirs:
        ours.setblocking(False)
        loop = asyncio.get_running_loop()
        await loop.connect_accepted_socket(lambda: connection, ours)
        connection.data_received(request())
        assert listener.connections == {connection}
        if has_begun:
            await asyncio.sleep(0)
        await connection.cancel()
        await asyncio.wait_for(listener.lost_one.wait(), 10)
    assert listener.connections == set()


async def test_handler_that_fails_unforeseen_ends_its_connection_only(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    pipeline = Node().pipeline(ROUTES)
    broken = [True]
    handle = pipeline.handle

    async def fail_once(arrived: object) -> object:
        if broken:
            raise RuntimeError(broken.pop())
        return await handle(arrived)  # type: ignore[arg-type]

    monkeypatch.setattr(pipeline, "handle", fail_once)
    async with serving(pipeline) as client:
        assert await asyncio.wait_for(client.send_raw(request()), 10) == b""
        assert (await client.send_raw(LAST)).startswith(b"HTTP/1.1 200 ")


def chunked(lines: bytes) -> bytes:
    return start("Connection: close\r\nTransfer-Encoding: chunked\r\n", lines)


async def test_body_in_chunks_of_one_byte_is_one_body() -> None:
    text = b'{"workflow_type":"%b"}' % (b"x" * 100_000)
    sent = chunked(b"".join(b"1\r\n%c\r\n" % byte for byte in text) + b"0\r\n\r\n")
    async with serving(Node().pipeline(with_handler(START, tell))) as client:
        received = await asyncio.wait_for(client.send_raw(sent), 30)
    assert received.startswith(b"HTTP/1.1 200 ")
    assert text in received


async def test_lines_behind_a_chunked_body_mean_nothing() -> None:
    async def name(_services: Services, call: Call) -> Reply:
        return Reply(200, {"lines": [n.decode() for n, _ in call.request.raw_headers]})

    sent = chunked(b"2\r\n{}\r\n0\r\nX-Namespace: other\r\n\r\n")
    async with serving(Node().pipeline(with_handler(START, name))) as client:
        received = await asyncio.wait_for(client.send_raw(sent), 10)
    assert received.startswith(b"HTTP/1.1 200 ")
    assert b"X-Namespace" not in received


@pytest.mark.parametrize(
    "endless",
    [b"2;%b\r\n{}\r\n", b"2\r\n{}\r\n0\r\nX: %b\r\n\r\n"],
    ids=["extension", "trailer"],
)
async def test_much_around_the_parts_of_a_body_is_refused(endless: bytes) -> None:
    sent = chunked(endless % (b"y" * 4 * MAX_FRAMING_BYTES))
    async with serving(Node().pipeline(ROUTES)) as client:
        received = await asyncio.wait_for(client.send_raw(sent), 10)
    assert received.startswith(b"HTTP/1.1 400 ")
    assert b'"reason":"malformed_request"' in received

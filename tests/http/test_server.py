"""The listener: it starts, says why it cannot, and ends in order."""

from __future__ import annotations

import asyncio
import socket
from contextlib import suppress
from dataclasses import dataclass, field, replace

import orjson
import pytest
from aiohttp import web

from dwserver.http.call import Call, Reply
from dwserver.http.server import HttpServer, ListenError, ListenerSettings
from dwserver.services.catalog import Services
from tests.http.harness import (
    CONTROL,
    HOST,
    ROUTES,
    WORKER,
    Node,
    client_of,
    with_handler,
)

PATH = "/api/worker/workflow-tasks/t-1/complete"
LABEL = "POST /api/worker/workflow-tasks/{task_id}/complete"


@dataclass
class Polls:
    """Long polls that wait until they are released."""

    released: asyncio.Event = field(default_factory=asyncio.Event)
    waiting: asyncio.Event = field(default_factory=asyncio.Event)
    steps: list[str] = field(default_factory=list)

    async def poll(self, _services: Services, _call: Call) -> Reply:
        self.waiting.set()
        await self.released.wait()
        self.steps.append("answered")
        return Reply(200, {"task": None})

    def begin_drain(self) -> None:
        self.steps.append("not ready")

    def release(self) -> None:
        self.steps.append("released")
        self.released.set()

    def server(self, *, port: int = 0, timeout: float = 5) -> HttpServer:
        return HttpServer(
            Node().pipeline(with_handler(LABEL, self.poll)),
            ListenerSettings(host=HOST, port=port, shutdown_timeout_seconds=timeout),
            begin_drain=self.begin_drain,
            release_polls=self.release,
        )


def listening_server() -> HttpServer:
    return HttpServer(
        Node().pipeline(ROUTES),
        ListenerSettings(host=HOST, port=0),
        begin_drain=lambda: None,
        release_polls=lambda: None,
    )


async def test_started_server_answers_on_its_port() -> None:
    server = listening_server()
    assert server.port == 0
    await server.start()
    await server.start()
    async with client_of(server.port) as client:
        answer = await client.send("GET", "/api/schedules", CONTROL)
    assert answer.status == 200
    await server.stop()
    await server.stop()


async def test_a_large_body_that_does_not_come_keeps_nobody_out() -> None:
    bundles = tuple(replace(route, takes_bundles=True) for route in ROUTES)
    server = HttpServer(
        Node(max_body_bytes=100).pipeline(bundles),
        ListenerSettings(host=HOST, port=0, bundle_seconds=0.05),
        begin_drain=lambda: None,
        release_polls=lambda: None,
    )
    await server.start()
    body = {"workflow_type": "t" * 100}
    length = len(orjson.dumps(body))
    for part in (b"", b'{"workflow_type": '):
        reader, writer = await asyncio.open_connection(HOST, server.port)
        head = f"POST /api/workflows HTTP/1.1\r\nHost: x\r\nContent-Length: {length}"
        writer.write(head.encode() + b"\r\n\r\n" + part)
        with suppress(ConnectionResetError):
            assert await reader.read() == b""
        writer.close()
        async with client_of(server.port) as client:
            answer = await client.send_json(
                "POST", "/api/workflows", CONTROL, body=body
            )
        assert answer.status == 201
    await server.stop()


async def test_taken_address_is_named() -> None:
    with socket.socket() as taken:
        taken.bind((HOST, 0))
        taken.listen()
        port = taken.getsockname()[1]
        server = Polls().server(port=port)
        with pytest.raises(ListenError, match=f"{HOST}:{port}"):
            await server.start()
        await server.stop()


async def test_drain_releases_polls_and_waits_for_their_answers() -> None:
    polls = Polls()
    server = polls.server()
    await server.start()
    async with client_of(server.port) as client:
        waiting = asyncio.create_task(client.send("POST", PATH, WORKER))
        await polls.waiting.wait()
        await server.drain()
        assert polls.steps == ["not ready", "released", "answered"]
        answer = await waiting
    assert answer.body["task"] is None
    await server.drain()
    await server.stop()
    assert polls.steps == ["not ready", "released", "answered"]


async def test_draining_server_takes_no_new_connections() -> None:
    server = Polls().server()
    await server.start()
    port = server.port
    await server.drain()
    with pytest.raises(OSError, match="onnect"):
        await asyncio.open_connection(HOST, port)
    await server.stop()


def connected(port: int, path: str) -> socket.socket:
    """A connection with a request that nobody has taken yet."""
    client = socket.create_connection((HOST, port))
    client.sendall(f"GET {path} HTTP/1.1\r\nHost: x\r\n\r\n".encode())
    return client


async def test_who_has_connected_is_answered_by_a_process_that_ends(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Also by one of several processes on a port: the kernel has given the connection
    to it, and to no other."""
    server = listening_server()
    await server.start()
    port = server.port
    clients: list[socket.socket] = []
    stop = web.SockSite.stop

    async def stop_late(site: web.SockSite) -> None:
        # The loop has accepted what there was, and does not run before the end.
        clients.extend(connected(port, "/api/nope") for _ in range(20))
        await stop(site)

    monkeypatch.setattr(web.SockSite, "stop", stop_late)
    await server.drain()
    for client in clients:
        client.settimeout(10)
        with client, client.makefile("rb") as answer:
            assert answer.readline().startswith(b"HTTP/1.1 404")
    with pytest.raises(OSError, match="refused"):
        connected(port, "/api/nope")
    await server.stop()


async def test_drain_closes_idle_connections() -> None:
    server = listening_server()
    await server.start()
    reader, writer = await asyncio.open_connection(HOST, server.port)
    writer.write(b"GET /api/nope HTTP/1.1\r\nHost: x\r\n\r\n")
    head = await reader.readuntil(b"\r\n\r\n")
    length = int(head.lower().split(b"content-length: ")[1].split(b"\r\n")[0])
    await reader.readexactly(length)
    await server.drain()
    assert await asyncio.wait_for(reader.read(), 10) == b""
    writer.close()
    await writer.wait_closed()
    await server.stop()


@pytest.mark.parametrize(
    "sent",
    [
        b"GET /api/health HTTP/1.1\r\n\r\n",
        b"BREW /api/health HTTP/1.1\r\nHost: x\r\n\r\n",
        b"GET /api/health?q=%b HTTP/1.1\r\nHost: x\r\n\r\n" % (b"s3cret" * 2000),
        b"GET /api/health HTTP/1.1\r\nHost: x\r\nX-A: %b\r\n\r\n" % (b"s3cret" * 2000),
        b"POST /api/health HTTP/1.1\r\nHost: x\r\nContent-Length: s3cret\r\n\r\n",
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
        b"s3cret\r\n\r\n",
    ],
    ids=["no host", "method", "target", "header", "length", "TLS", "no HTTP"],
)
async def test_what_is_no_request_is_refused_as_json(sent: bytes) -> None:
    server = listening_server()
    await server.start()
    async with client_of(server.port) as client:
        answer = await client.send_raw(sent)
    await server.stop()
    head, _, body = answer.partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 400 Bad Request\r\n")
    assert b"Content-Type: application/json\r\n" in head
    assert b"Connection: close\r\n" in head
    assert b"s3cret" not in answer
    assert orjson.loads(body)["reason"] == "malformed_request"


async def test_stop_without_drain_cuts_off_what_hangs() -> None:
    polls = Polls()
    server = polls.server(timeout=0.05)
    await server.start()
    _, writer = await asyncio.open_connection(HOST, server.port)
    headers = "\r\n".join(f"{name}: {value}" for name, value in WORKER.items())
    writer.write(f"POST {PATH} HTTP/1.1\r\nHost: x\r\n{headers}\r\n\r\n".encode())
    await polls.waiting.wait()
    await asyncio.wait_for(server.stop(), 10)
    assert polls.steps == []
    writer.close()


async def test_server_that_never_started_can_be_ended() -> None:
    server = listening_server()
    await server.drain()
    await server.stop()

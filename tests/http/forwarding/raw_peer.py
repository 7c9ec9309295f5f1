"""A peer that answers with whatever bytes a test wants."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

from dwserver.topology.peers import Peer
from dwserver.topology.shapes import ProcessClass, Shape, roles_of

HOST = "127.0.0.1"
SPLIT = Shape.SPLIT_CONTROL_EXECUTION


@dataclass
class RawConnection:
    """One accepted connection; ``requests`` are read as they are announced."""

    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter

    async def request(self) -> bytes:
        head = await self.reader.readuntil(b"\r\n\r\n")
        length = int(head.lower().partition(b"content-length: ")[2].split(b"\r\n")[0])
        return head + await self.reader.readexactly(length)

    async def write(self, data: bytes) -> None:
        self.writer.write(data)
        await self.writer.drain()

    async def is_closed_by_client(self) -> bool:
        try:
            return await self.reader.read(1) == b""
        except ConnectionError:
            return True

    def reset(self) -> None:
        self.writer.transport.abort()


Behaviour = Callable[[RawConnection], Awaitable[None]]


@dataclass
class RawPeer:
    port: int
    connections: list[RawConnection] = field(default_factory=list)

    def peer(
        self,
        node_id: str = "peer",
        process_class: ProcessClass = ProcessClass.CONTROL_PLANE_NODE,
    ) -> Peer:
        return peer_at(self.port, node_id, process_class)


def peer_at(
    port: int,
    node_id: str = "peer",
    process_class: ProcessClass = ProcessClass.CONTROL_PLANE_NODE,
) -> Peer:
    return Peer(
        node_id=node_id,
        process_class=process_class,
        roles=roles_of(SPLIT, process_class),
        address=f"http://{HOST}:{port}",
        version="1",
    )


@asynccontextmanager
async def raw_peer(behaviour: Behaviour) -> AsyncIterator[RawPeer]:
    """``behaviour`` is run for each connection, which is closed when it returns."""
    peer = RawPeer(0)

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        connection = RawConnection(reader, writer)
        peer.connections.append(connection)
        try:
            await behaviour(connection)
        except (ConnectionError, asyncio.IncompleteReadError):
            pass
        finally:
            writer.close()

    server = await asyncio.start_server(serve, HOST, 0)
    peer.port = server.sockets[0].getsockname()[1]
    try:
        yield peer
    finally:
        server.close()
        for connection in peer.connections:
            connection.writer.close()
        await server.wait_closed()


async def until(is_so: Callable[[], object], *, seconds: float = 10.0) -> None:
    """Wait for what the other side of a socket brings about."""
    async with asyncio.timeout(seconds):
        while not is_so():  # noqa: ASYNC110 - there is no event for it
            await asyncio.sleep(0.005)

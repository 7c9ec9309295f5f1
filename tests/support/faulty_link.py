"""A TCP link that a test can cut, freeze and slow down."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress

from tests.support.ports import LOOPBACK

CHUNK = 65_536


class FaultyLink:
    """Forwards connections to ``host:port``. A cut link closes every connection, open
    or new; a frozen one keeps them and passes nothing on, not even their ends."""

    def __init__(self, host: str, port: int) -> None:
        self._target = (host, port)
        self._there_flows, self._back_flows = asyncio.Event(), asyncio.Event()
        self._there_flows.set()
        self._back_flows.set()
        self._is_cut = False
        self._connections: set[asyncio.Task[None]] = set()
        self._server: asyncio.Server | None = None
        self.delay_seconds = 0.0
        self.port = 0

    async def open(self) -> None:
        self._server = await asyncio.start_server(self._accept, LOOPBACK, 0)
        self.port = self._server.sockets[0].getsockname()[1]

    async def close(self) -> None:
        assert self._server is not None
        self._server.close()
        await self._end_connections()
        await self._server.wait_closed()

    async def cut(self) -> None:
        self._is_cut = True
        await self._end_connections()

    def freeze(self, *, there: bool = True, back: bool = True) -> None:
        """``there``: what clients send; ``back``: what they are answered."""
        if there:
            self._there_flows.clear()
        if back:
            self._back_flows.clear()

    def mend(self) -> None:
        """Undo whatever was done to it."""
        self._is_cut = False
        self.delay_seconds = 0.0
        self._there_flows.set()
        self._back_flows.set()

    async def _end_connections(self) -> None:
        connections = tuple(self._connections)
        for connection in connections:
            connection.cancel()
        if connections:
            await asyncio.wait(connections)

    def _accept(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        if self._is_cut:
            writer.close()
            return
        task = asyncio.create_task(self._join(reader, writer))
        self._connections.add(task)
        task.add_done_callback(self._connections.discard)

    async def _join(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        writers = [writer]
        try:
            far_reader, far_writer = await asyncio.open_connection(*self._target)
            writers.append(far_writer)
            there = asyncio.ensure_future(
                self._pass_on(reader, far_writer, self._there_flows)
            )
            back = asyncio.ensure_future(
                self._pass_on(far_reader, writer, self._back_flows)
            )
            try:
                await asyncio.wait((there, back), return_when=asyncio.FIRST_COMPLETED)
            finally:
                there.cancel()
                back.cancel()
        except OSError:
            pass
        finally:
            for each in writers:
                each.close()

    async def _pass_on(
        self,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
        flows: asyncio.Event,
    ) -> None:
        with suppress(OSError):
            while data := await reader.read(CHUNK):
                await asyncio.sleep(self.delay_seconds)
                await flows.wait()
                writer.write(data)
                await writer.drain()
        await flows.wait()


@asynccontextmanager
async def faulty_link(host: str, port: int) -> AsyncIterator[FaultyLink]:
    link = FaultyLink(host, port)
    await link.open()
    try:
        yield link
    finally:
        await link.close()

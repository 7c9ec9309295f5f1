"""A TCP link that a test can cut, freeze, slow down and lead elsewhere."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from enum import StrEnum
from typing import TypeAlias

from tests.support.ports import LOOPBACK

CHUNK = 65_536


class Direction(StrEnum):
    THERE = "there"
    BACK = "back"


_Limits: TypeAlias = dict[Direction, int]


class FaultyLink:
    """Forwards connections to ``host:port``. A cut link closes every connection, open
    or new; a frozen one keeps them and passes nothing on, not even their ends.

    ``cuts``: how many connections :meth:`end_soon` has ended, by direction.
    """

    def __init__(self, host: str, port: int) -> None:
        self._target = (host, port)
        self.cuts: Counter[Direction] = Counter()
        self._flows = _open_flows()
        self._is_cut = False
        self._connections: dict[asyncio.Task[None], _Limits] = {}
        self._server: asyncio.Server | None = None
        self.delay_seconds = 0.0
        self.port = 0

    async def open(self) -> None:
        self._server = await asyncio.start_server(self._accept, LOOPBACK, 0)
        self.port = self._server.sockets[0].getsockname()[1]

    async def close(self) -> None:
        assert self._server is not None
        self._server.close()
        # Somebody may have been let in whom _accept has not seen yet.
        await self.cut()
        await self._server.wait_closed()

    async def cut(self) -> None:
        self._is_cut = True
        await self.drop()

    async def lead_to(self, host: str, port: int, *, is_silent: bool = False) -> None:
        """Forward to another address from now on. What is open ends or, as when a
        machine vanishes (``is_silent``), is never heard of again."""
        self._target = (host, port)
        if not is_silent:
            await self.drop()
            return
        self.freeze()
        self._flows = _open_flows()

    def freeze(self, *, there: bool = True, back: bool = True) -> None:
        """``there``: what clients send; ``back``: what they are answered."""
        if there:
            self._flows[Direction.THERE].clear()
        if back:
            self._flows[Direction.BACK].clear()

    def mend(self) -> None:
        """Undo whatever was done to it."""
        self._is_cut = False
        self.delay_seconds = 0.0
        for flow in self._flows.values():
            flow.set()

    def end_soon(self, limit: Callable[[], tuple[Direction, int]]) -> None:
        """End each connection that is open once it has passed on so many more bytes in
        a direction: wherever that is, in the middle of a message most likely."""
        for limits in self._connections.values():
            direction, count = limit()
            limits[direction] = count

    async def drop(self) -> None:
        """End what is open; whoever comes next is served."""
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
        limits: _Limits = {}
        task = asyncio.create_task(self._join(reader, writer, limits))
        self._connections[task] = limits
        task.add_done_callback(self._connections.pop)
        # Not in the task itself: one that is cancelled before its first step never
        # enters its block, and the client would wait for an answer for ever.
        task.add_done_callback(lambda _: writer.close())

    async def _join(
        self,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
        limits: _Limits,
    ) -> None:
        try:
            far_reader, far_writer = await asyncio.open_connection(*self._target)
        except OSError:
            return
        there = asyncio.ensure_future(
            self._pass_on(reader, far_writer, Direction.THERE, limits)
        )
        back = asyncio.ensure_future(
            self._pass_on(far_reader, writer, Direction.BACK, limits)
        )
        try:
            await asyncio.wait((there, back), return_when=asyncio.FIRST_COMPLETED)
        finally:
            there.cancel()
            back.cancel()
            far_writer.close()

    async def _pass_on(
        self,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
        direction: Direction,
        limits: _Limits,
    ) -> None:
        flows = self._flows[direction]
        with suppress(OSError):
            while data := await reader.read(CHUNK):
                await asyncio.sleep(self.delay_seconds)
                await flows.wait()
                left = limits.get(direction)
                writer.write(data[:left])
                await writer.drain()
                if left is not None and left < len(data):
                    self.cuts[direction] += 1
                    return
                if left is not None:
                    limits[direction] = left - len(data)
        await flows.wait()


def _open_flows() -> dict[Direction, asyncio.Event]:
    flows = {direction: asyncio.Event() for direction in Direction}
    for flow in flows.values():
        flow.set()
    return flows


@asynccontextmanager
async def faulty_link(host: str, port: int) -> AsyncIterator[FaultyLink]:
    link = FaultyLink(host, port)
    await link.open()
    try:
        yield link
    finally:
        await link.close()

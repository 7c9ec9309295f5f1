"""A TCP link that a test can cut, freeze, slow down and lead elsewhere."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from enum import StrEnum

from tests.support.ports import LOOPBACK

CHUNK = 65_536


class Direction(StrEnum):
    THERE = "there"
    BACK = "back"


def _open_gates() -> dict[Direction, asyncio.Event]:
    gates = {direction: asyncio.Event() for direction in Direction}
    for gate in gates.values():
        gate.set()
    return gates


class FaultyLink:
    """Forwards connections to ``host:port``. A cut link closes every connection, open
    or new; a frozen one keeps them and passes nothing on, not even their ends.

    ``budget``: how many bytes a new connection may pass on in each direction; within
    the byte that exceeds it, wherever that is, the connection ends. ``cuts`` counts
    the connections that ended so.
    """

    def __init__(self, host: str, port: int) -> None:
        self._target = (host, port)
        self.budget: Callable[[Direction], int] | None = None
        self.cuts: Counter[Direction] = Counter()
        self._flows = _open_gates()
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
        await self.drop()
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
        self._flows = _open_gates()

    def freeze(self, *, there: bool = True, back: bool = True) -> None:
        """``there``: what clients send; ``back``: what they are answered."""
        for direction, is_frozen in ((Direction.THERE, there), (Direction.BACK, back)):
            if is_frozen:
                self._flows[direction].clear()

    def mend(self) -> None:
        """Undo whatever was done to it."""
        self._is_cut = False
        self.budget = None
        self.delay_seconds = 0.0
        for gate in self._flows.values():
            gate.set()

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
                self._pass_on(reader, far_writer, Direction.THERE)
            )
            back = asyncio.ensure_future(
                self._pass_on(far_reader, writer, Direction.BACK)
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
        direction: Direction,
    ) -> None:
        left = None if self.budget is None else self.budget(direction)
        flows = self._flows[direction]
        with suppress(OSError):
            while data := await reader.read(CHUNK):
                await asyncio.sleep(self.delay_seconds)
                await flows.wait()
                writer.write(data[:left])
                await writer.drain()
                if left is not None:
                    left -= len(data)
                    if left < 0:
                        self.cuts[direction] += 1
                        return
        await flows.wait()


@asynccontextmanager
async def faulty_link(host: str, port: int) -> AsyncIterator[FaultyLink]:
    link = FaultyLink(host, port)
    await link.open()
    try:
        yield link
    finally:
        await link.close()

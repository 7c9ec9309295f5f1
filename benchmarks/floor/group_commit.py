"""One commit for all requests that arrived while the one before was under way."""

from __future__ import annotations

import asyncio
from importlib import resources

import asyncpg

from benchmarks.floor.rows import Rows, merged

# Plans by index, made once: what a server gets that keeps its statements prepared.
SESSION = {
    "plan_cache_mode": "force_generic_plan",
    "enable_seqscan": "off",
    "enable_hashjoin": "off",
    "enable_mergejoin": "off",
    "jit": "off",
}


async def create_schema(dsn: str) -> None:
    """The tables, in an empty database."""
    connection = await asyncpg.connect(dsn)
    try:
        text = resources.files(__package__).joinpath("schema.sql").read_text("utf-8")
        await connection.execute(text)
    finally:
        await connection.close()


class GroupCommit:
    """A single writer; a failing commit fails every request that shared it."""

    def __init__(self, dsn: str) -> None:
        self._dsn = dsn
        self._waiting: list[tuple[Rows, asyncio.Future[None]]] = []
        self._has_work = asyncio.Event()

    async def write(self, rows: Rows) -> None:
        """Returns when the rows are durable."""
        done: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting.append((rows, done))
        self._has_work.set()
        await done

    async def run(self) -> None:
        """The writer; an idle one commits at once."""
        connection = await asyncpg.connect(self._dsn, server_settings=SESSION)
        try:
            while True:
                await self._has_work.wait()
                self._has_work.clear()
                while self._waiting:
                    batch, self._waiting = self._waiting, []
                    await self._commit(connection, batch)
        finally:
            await connection.close()

    async def _commit(
        self,
        connection: asyncpg.Connection,
        batch: list[tuple[Rows, asyncio.Future[None]]],
    ) -> None:
        sql, arguments = merged([rows for rows, _ in batch]).statement()
        try:
            await connection.execute(sql, *arguments)
        except asyncpg.PostgresError as error:
            for _, done in batch:
                if not done.done():
                    done.set_exception(error)
            return
        for _, done in batch:
            if not done.done():
                done.set_result(None)

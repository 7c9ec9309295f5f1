"""Connections: a pool for reads, a few of their own for commits.

Plans. Hot statements must run by index whatever the statistics of the moment say, and
planning a commit costs more than running it. Sessions are therefore set once, at
connect, to generic plans over indexes. Behind a pooler in transaction mode a session is
not ours to set and prepared statements do not survive: with a statement cache of 0
(*pooler mode*) nothing is set, nothing is prepared by name, and each statement runs in
an explicit transaction, so that its protocol steps reach the same server connection.
Such a transaction ends by itself when its process freezes before the commit: what it
has locked, the lease of a leader perhaps, must not wait for the process to wake up.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from typing import Any

import asyncpg

from dwserver.store.api import StoreUnavailable
from dwserver.store.postgres.errors import (
    FAULTS,
    is_session_lost,
    to_store_error,
    write_with_retries,
)
from dwserver.store.postgres.servers import Servers

# Without sorted or hashed scans every statement below sql/ follows its index from the
# first row on; jit would compile statements that run for a millisecond.
SESSION_PROFILE = """set plan_cache_mode = force_generic_plan;
set enable_seqscan = off;
set enable_hashjoin = off;
set enable_mergejoin = off;
set enable_bitmapscan = off;
set jit = off"""

# Less than what is left of a leader's lease when it freezes (10 s, renewed in thirds).
BEGIN_POOLED = "begin; set local idle_in_transaction_session_timeout = '5s'"

RELEASE_SECONDS = 0.5
"""What a server gets to confirm that it has ended a statement."""


@dataclass(frozen=True, slots=True)
class ConnectionOptions:
    """How to connect; ``statement_cache_size`` 0 means pooler mode."""

    servers: Servers
    statement_cache_size: int
    command_timeout_seconds: float

    @property
    def is_pooled(self) -> bool:
        return self.statement_cache_size == 0

    def arguments(self) -> dict[str, Any]:
        """Of ``Servers.connect``: cached statements are kept whatever their size and
        age, since preparing a commit again costs a planning. A standby that has not
        been promoted is refused; which server a pooler leads to is its own matter, and
        asking would need a session."""
        session = {} if self.is_pooled else {"target_session_attrs": "read-write"}
        return {
            **session,
            "timeout": self.command_timeout_seconds,
            "command_timeout": self.command_timeout_seconds,
            "statement_cache_size": self.statement_cache_size,
            "max_cached_statement_lifetime": 0,
            "max_cacheable_statement_size": 0,
        }


async def prepare_session(
    connection: asyncpg.Connection, options: ConnectionOptions
) -> None:
    """Set the session up, unless it belongs to a pooler."""
    if not options.is_pooled:
        await connection.execute(SESSION_PROFILE)


async def fetch(
    connection: asyncpg.Connection, options: ConnectionOptions, sql: str, *args: object
) -> list[asyncpg.Record]:
    """Run one statement. The connection is discarded when its session is lost."""
    try:
        if options.is_pooled:
            async with _transaction(connection):
                rows = await connection.fetch(sql, *args)
        else:
            rows = await connection.fetch(sql, *args)
    except FAULTS as error:
        if is_session_lost(error):
            connection.terminate()
        raise
    return list(rows)


@asynccontextmanager
async def _transaction(connection: asyncpg.Connection) -> AsyncIterator[None]:
    await connection.execute(BEGIN_POOLED)
    try:
        yield
    except BaseException:
        await connection.execute("rollback")
        raise
    await connection.execute("commit")


async def _keep_session(connection: asyncpg.Connection) -> None:
    """Instead of asyncpg's reset, which costs a round trip and undoes the profile."""


class ConnectionPool:
    """Connections for loads and set operations, opened as they are needed."""

    def __init__(self, options: ConnectionOptions, *, size: int) -> None:
        self._options = options
        self._size = size
        self._pool: asyncpg.Pool | None = None

    async def open(self) -> None:
        """Needs no database: connections are made by the first statements."""
        await self.close()

        async def initialise(connection: asyncpg.Connection) -> None:
            await prepare_session(connection, self._options)

        self._pool = await asyncpg.create_pool(
            connect=self._options.servers.connect,
            **self._options.arguments(),
            min_size=0,
            max_size=self._size,
            max_queries=2**31,
            init=initialise,
            reset=_keep_session,
        )

    async def close(self) -> None:
        if self._pool is None:
            return
        try:
            async with asyncio.timeout(self._options.command_timeout_seconds):
                await self._pool.close()
        except TimeoutError:
            self._pool.terminate()
        self._pool = None

    async def fetch(self, sql: str, *args: object) -> list[asyncpg.Record]:
        """Rows of a reading statement; StoreUnavailable or StoreError."""
        try:
            return await self._run(sql, *args)
        except FAULTS as error:
            raise to_store_error(error, is_writing=False) from error

    async def write(self, sql: str, *args: object) -> list[asyncpg.Record]:
        """As ``fetch``, of a writing statement that is not part of a commit."""
        return await write_with_retries(lambda: self._run(sql, *args))

    async def _run(self, sql: str, *args: object) -> list[asyncpg.Record]:
        if self._pool is None:
            raise StoreUnavailable("the store is not open")
        try:
            connection = await self._pool.acquire(
                timeout=self._options.command_timeout_seconds
            )
        except FAULTS as error:
            raise to_store_error(error, is_writing=False) from error
        try:
            return await fetch(connection, self._options, sql, *args)
        finally:
            # Whoever gave a statement up does not wait for a silent server to say that
            # it has ended: the pool gives that connection up then.
            with suppress(TimeoutError):
                await self._pool.release(connection, timeout=RELEASE_SECONDS)


class Writers:
    """The connections that commits use, each made when it is first needed.

    The one that was used last is used next: its session has the plans.
    """

    def __init__(self, options: ConnectionOptions, *, size: int) -> None:
        self._options = options
        self._free: asyncio.LifoQueue[asyncpg.Connection | None] = asyncio.LifoQueue()
        self._size = size
        for _ in range(size):
            self._free.put_nowait(None)

    async def close(self) -> None:
        """Close the connections once nobody writes; safe to call again."""
        connections = [await self._free.get() for _ in range(self._size)]
        for connection in connections:
            self._free.put_nowait(None)
            if connection is None or connection.is_closed():
                continue
            try:
                await connection.close(timeout=self._options.command_timeout_seconds)
            except FAULTS:
                connection.terminate()

    async def fetch(self, sql: str, *args: object) -> list[asyncpg.Record]:
        """Rows of one writing statement; raises what asyncpg raises, or
        StoreUnavailable when no session could be made: then nothing was written."""
        async with self._connection() as connection:
            return await fetch(connection, self._options, sql, *args)

    @asynccontextmanager
    async def _connection(self) -> AsyncIterator[asyncpg.Connection]:
        connection = await self._free.get()
        try:
            if connection is None or connection.is_closed():
                connection = None
                connection = await self._connect()
            yield connection
        finally:
            self._free.put_nowait(connection)

    async def _connect(self) -> asyncpg.Connection:
        connection: asyncpg.Connection | None = None
        try:
            options = self._options
            connection = await options.servers.connect(**options.arguments())
            await prepare_session(connection, options)
        except FAULTS as error:
            if connection is not None:
                connection.terminate()
            raise to_store_error(error, is_writing=False) from error
        return connection

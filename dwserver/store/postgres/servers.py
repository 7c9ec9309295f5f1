"""The servers that a URL names, of which one takes writes.

``postgresql://user@a,b:5433/database`` names two, as libpq writes it: a primary and its
standby, say, whose parts may change at any time. They are tried one after the other,
beginning with the one that took the last connection, and each for a part of the time: a
server that says nothing delays those who connect, but does not keep them from the next.
"""

from __future__ import annotations

import asyncio
import re
from typing import Any, Final, NamedTuple

import asyncpg
import structlog

from dwserver.store.postgres.errors import FAULTS

# Most of the time that one of several servers gets to take a connection.
ATTEMPT_SECONDS: Final = 5.0

_IS_READ_ONLY: Final = "show transaction_read_only"
_END_OF_AUTHORITY: Final = re.compile(r"(?=[/?])")

_log = structlog.stdlib.get_logger(__name__)


class Server(NamedTuple):
    """``name``: host and port, as the URL has them."""

    name: str
    dsn: str


class Servers:
    """Those of one URL; whoever connects to them learns what the others found."""

    def __init__(self, dsn: str) -> None:
        self._servers = servers_of(dsn)
        # Where the last connection was made; behind what has just failed.
        self._first = 0

    async def connect(
        self, _: object = None, *, timeout: float, **arguments: Any
    ) -> asyncpg.Connection:
        """A connection to the one that takes writes, or else what is wrong with them:
        one of ``FAULTS``. ``arguments``: of ``asyncpg.connect``. Each of several is
        asked whether it takes writes; one alone is not, unless they say so."""
        servers, first = self._servers, self._first
        if len(servers) == 1:
            return await asyncpg.connect(servers[0].dsn, timeout=timeout, **arguments)
        arguments["target_session_attrs"] = "any"
        limit = min(timeout / len(servers), ATTEMPT_SECONDS)
        errors: list[Exception] = []
        for number in (*range(first, len(servers)), *range(first)):
            try:
                connection = await _connect(servers[number].dsn, limit, arguments)
            except FAULTS as error:
                errors.append(error)
                if self._first == number:
                    self._first = (number + 1) % len(servers)
            else:
                if number != first:
                    _log.info("database_server_changed", server=servers[number].name)
                self._first = number
                return connection
        raise _most_telling(errors)


def servers_of(dsn: str) -> tuple[Server, ...]:
    """Each has a URL of its own, with the user, database and options of all."""
    scheme, separator, rest = dsn.partition("://")
    authority, *tail = _END_OF_AUTHORITY.split(rest, maxsplit=1)
    credentials, at, hosts = authority.rpartition("@")
    return tuple(
        Server(host, "".join((scheme, separator, credentials, at, host, *tail)))
        for host in hosts.split(",")
    )


async def _connect(
    dsn: str, limit_seconds: float, arguments: dict[str, Any]
) -> asyncpg.Connection:
    async with asyncio.timeout(limit_seconds):
        connection = await asyncpg.connect(dsn, timeout=limit_seconds, **arguments)
        try:
            # Behind a pooler a statement without transaction has no server of its own.
            async with connection.transaction():
                is_read_only = await connection.fetchval(_IS_READ_ONLY) == "on"
        except BaseException:
            connection.terminate()
            raise
    if is_read_only:
        connection.terminate()
        raise asyncpg.ReadOnlySQLTransactionError("the server is a standby")
    return connection


def _most_telling(errors: list[Exception]) -> Exception:
    """That a server is no primary tells less than why another could not be asked."""
    return next(
        (
            each
            for each in errors
            if not isinstance(each, asyncpg.ReadOnlySQLTransactionError)
        ),
        errors[0],
    )

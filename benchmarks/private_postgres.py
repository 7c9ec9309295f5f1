"""The PostgreSQL of a run: durable, on this machine's disk, nobody else's."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager

import asyncpg

from tests.support.local_servers import LocalPostgres
from tests.support.postgres_databases import PostgresDatabases
from tests.support.probes import run_in_thread

EXTENSION = "pg_stat_statements"
SHARE_OF_MEMORY = 8
MOST_SHARED_BUFFERS = 1 << 30


class PrivatePostgres:
    """A running server; ``counts_statements`` when it has the extension for that."""

    def __init__(self, server: LocalPostgres) -> None:
        self._server = server
        self.databases = PostgresDatabases(server.admin_dsn)
        self.counts_statements = False

    @property
    def admin_dsn(self) -> str:
        return self._server.admin_dsn

    @property
    def pid(self) -> int:
        return self._server.pid

    @property
    def version(self) -> str:
        return str(self._value("show server_version")).split()[0]

    @property
    def settings(self) -> dict[str, str]:
        """Those on which durability and speed depend."""
        names = ("fsync", "synchronous_commit", "shared_buffers", "max_wal_size")
        return {name: str(self._value(f"show {name}")) for name in names}

    def load_statement_statistics(self) -> None:
        """Needs a restart. Off until :meth:`track_statements`, to cost nothing."""
        found = (
            "select 1 from pg_available_extensions where name = 'pg_stat_statements'"
        )
        if self._value(found) is None:
            return
        self._execute(f"alter system set shared_preload_libraries = '{EXTENSION}'")
        self._server.stop()
        self._server.start()
        self._execute(f"create extension {EXTENSION}")
        self.track_statements(False)
        self.counts_statements = True

    def track_statements(self, is_on: bool) -> None:
        level = "top" if is_on else "none"
        self._execute(f"alter system set {EXTENSION}.track = '{level}'")
        self._execute("select pg_reload_conf()")

    def checkpoint(self) -> None:
        self._execute("checkpoint")

    def _value(self, statement: str) -> object:
        return run_in_thread(_run(self.admin_dsn, statement))

    def _execute(self, statement: str) -> None:
        self._value(statement)


async def _run(dsn: str, statement: str) -> object:
    connection = await asyncpg.connect(dsn)
    try:
        value: object = await connection.fetchval(statement)
        return value
    finally:
        await connection.close()


@contextmanager
def running_postgres() -> Iterator[PrivatePostgres]:
    """Started on a free loopback port, stopped and deleted at the end."""
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    shared = min(MOST_SHARED_BUFFERS, memory // SHARE_OF_MEMORY)
    settings = {"shared_buffers": f"{shared >> 20}MB", "max_wal_size": "4GB"}
    with LocalPostgres(settings) as server:
        postgres = PrivatePostgres(server)
        postgres.load_statement_statistics()
        yield postgres

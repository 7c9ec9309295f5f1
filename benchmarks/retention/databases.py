"""The two databases, as far as filling, copying and counting goes past the store."""

from __future__ import annotations

import shutil
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any, Protocol

import asyncpg

from benchmarks.private_postgres import PrivatePostgres
from tests.support.probes import run_in_thread

Row = tuple[Any, ...]


class Database(Protocol):
    """``name`` as in reports; ``url`` of the one that is filled."""

    name: str
    url: str

    def execute(self, url: str, statement: str) -> list[Row]: ...

    def columns(self, table: str) -> list[str]:
        """Those that are written, not computed."""
        ...

    def tables(self) -> list[str]: ...

    def numbers(self, count: int) -> str:
        """A table expression with the column ``n``: 1 … ``count``."""
        ...

    def settle(self) -> None:
        """Let the upkeep of the database that filling caused be over."""
        ...

    def copied(self) -> Any:
        """Context manager: the URL of a copy, which is deleted at the end."""
        ...


class Postgres:
    def __init__(self, postgres: PrivatePostgres) -> None:
        self._postgres = postgres
        self.name = f"PostgreSQL {postgres.version}"
        self.url = postgres.databases.create()

    def execute(self, url: str, statement: str) -> list[Row]:
        return run_in_thread(_fetch(url, statement))

    def columns(self, table: str) -> list[str]:
        found = (
            "select column_name from information_schema.columns where table_schema = "  # noqa: S608
            f"'public' and is_generated = 'NEVER' and table_name = '{table}'"
        )
        return [str(row[0]) for row in self.execute(self.url, found)]

    def tables(self) -> list[str]:
        found = "select tablename from pg_tables where schemaname = 'public'"
        return [str(row[0]) for row in self.execute(self.url, found)]

    def numbers(self, count: int) -> str:
        return f"generate_series(1, {count}) g(n)"

    def settle(self) -> None:
        self.execute(self.url, "vacuum analyze")

    @contextmanager
    def copied(self) -> Iterator[str]:
        url = self._postgres.databases.create(template=self.url)
        self._postgres.checkpoint()
        try:
            yield url
        finally:
            self._postgres.databases.drop(url)


class Sqlite:
    name = "SQLite"

    def __init__(self, folder: Path) -> None:
        self._path = folder / "full.sqlite"
        self._copy = folder / "copy.sqlite"
        self.url = f"sqlite:///{self._path}"

    def execute(self, url: str, statement: str) -> list[Row]:
        path = url.removeprefix("sqlite:///")
        with closing(sqlite3.connect(path, isolation_level=None)) as connection:
            return connection.execute(statement).fetchall()

    def columns(self, table: str) -> list[str]:
        found = self.execute(self.url, f"pragma table_xinfo({table})")
        return [str(row[1]) for row in found if not row[6]]

    def tables(self) -> list[str]:
        found = "select name from sqlite_master where type = 'table'"
        return [str(row[0]) for row in self.execute(self.url, found)]

    def numbers(self, count: int) -> str:
        return (
            "(with recursive g(n) as (select 1 union all select n + 1 from g "  # noqa: S608
            f"where n < {count}) select n from g)"
        )

    def settle(self) -> None:
        self.execute(self.url, "analyze")
        self.execute(self.url, "pragma wal_checkpoint(truncate)")

    @contextmanager
    def copied(self) -> Iterator[str]:
        shutil.copyfile(self._path, self._copy)
        try:
            yield f"sqlite:///{self._copy}"
        finally:
            for left in self._copy.parent.glob(f"{self._copy.name}*"):
                left.unlink()


async def _fetch(url: str, statement: str) -> list[Row]:
    connection = await asyncpg.connect(url)
    try:
        return [tuple(row) for row in await connection.fetch(statement)]
    finally:
        await connection.close()

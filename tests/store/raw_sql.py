"""Statements past the Store, for damage that it could not do itself."""

from __future__ import annotations

import asyncio
import sqlite3
from contextlib import closing

import asyncpg


async def execute(url: str, statement: str) -> list[tuple[object, ...]]:
    """Run one statement on the database of a store URL; its rows."""
    if url.startswith("sqlite:///"):
        return await asyncio.to_thread(_execute, url, statement)
    connection = await asyncpg.connect(url)
    try:
        return [tuple(row) for row in await connection.fetch(statement)]
    finally:
        await connection.close()


def _execute(url: str, statement: str) -> list[tuple[object, ...]]:
    path = url.removeprefix("sqlite:///")
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        return connection.execute(statement).fetchall()


async def forget_migration(url: str, name: str) -> None:
    """Delete a name of a migration from the ledger."""
    await execute(
        url,
        f"delete from schema_migrations where name = '{name}'",  # noqa: S608
    )

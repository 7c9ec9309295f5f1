"""Plans of PostgreSQL, and the statistics that they are made from."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import asyncpg

_NO_AUTOVACUUM = """
do $$
declare name text;
begin
    for name in select tablename from pg_tables where schemaname = 'public' loop
        execute format('alter table %I set (autovacuum_enabled = off)', name);
    end loop;
end $$
"""


async def leave_statistics_alone(connection: asyncpg.Connection) -> None:
    """From now on only the test vacuums and analyses tables."""
    await connection.execute(_NO_AUTOVACUUM)


def nodes(plan: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """A plan and all plans below it."""
    yield plan
    for child in plan.get("Plans", ()):
        yield from nodes(child)

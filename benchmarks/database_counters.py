"""What a PostgreSQL database has done, as differences of its own counters."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, fields

import asyncpg

# The next transaction id moves with every transaction that writes and with no other,
# and at once; the other counters arrive up to a second late.
COUNTERS = """
select
    pg_snapshot_xmax(pg_current_snapshot())::text::bigint as commits,
    xact_commit as transactions,
    tup_inserted as rows_inserted,
    tup_updated as rows_updated,
    tup_deleted as rows_deleted,
    pg_wal_lsn_diff(pg_current_wal_insert_lsn(), '0/0')::bigint as wal_bytes
from pg_stat_database
where datname = $1
"""
STATEMENTS = """
select query, sum(calls)::bigint as calls
from pg_stat_statements
where dbid = (select oid from pg_database where datname = $1)
group by query
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Counters:
    """``commits``: transactions that wrote. ``transactions``: all that committed."""

    commits: int
    transactions: int
    rows_inserted: int
    rows_updated: int
    rows_deleted: int
    wal_bytes: int

    def since(self, earlier: Counters) -> Counters:
        return Counters(
            **{
                item.name: getattr(self, item.name) - getattr(earlier, item.name)
                for item in fields(self)
            }
        )


async def read_counters(connection: asyncpg.Connection, database: str) -> Counters:
    """``connection`` belongs to another database, so that it does not count itself."""
    return Counters(**dict(await connection.fetchrow(COUNTERS, database)))


async def read_statements(
    connection: asyncpg.Connection, database: str
) -> Counter[str]:
    """Calls so far of each statement text, while PostgreSQL tracks them."""
    rows = await connection.fetch(STATEMENTS, database)
    return Counter({" ".join(row["query"].split()): row["calls"] for row in rows})

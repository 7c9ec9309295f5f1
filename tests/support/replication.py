"""A PostgreSQL and its streaming standby: what both substrates do over SQL.

No pytest here. The functions block; each uses a connection of its own.
"""

from __future__ import annotations

import asyncpg

from tests.support.probes import run_in_thread
from tests.support.waiting import wait_until

STREAMING_SECONDS = 30.0
PROMOTION_SECONDS = 60


def wait_for_the_standby(primary_dsn: str) -> None:
    """Return when the standby streams, and let no commit of the primary be
    acknowledged any more before the standby has it on disk."""
    wait_until(
        lambda: _value(primary_dsn, "select count(*) from pg_stat_replication"),
        deadline_seconds=STREAMING_SECONDS,
        what="a standby that streams",
    )
    _value(primary_dsn, "alter system set synchronous_standby_names = '*'")
    _value(primary_dsn, "select pg_reload_conf()")
    wait_until(
        lambda: _value(
            primary_dsn,
            "select count(*) from pg_stat_replication where sync_state = 'sync'",
        ),
        deadline_seconds=STREAMING_SECONDS,
        what="a synchronous standby",
    )


def promote(standby_dsn: str) -> None:
    """Return when it takes writes."""
    promoted = f"select pg_promote(wait => true, wait_seconds => {PROMOTION_SECONDS})"
    assert _value(standby_dsn, promoted) is True, "the standby was not promoted"


def _value(dsn: str, statement: str) -> object:
    return run_in_thread(_value_alone(dsn, statement))


async def _value_alone(dsn: str, statement: str) -> object:
    connection = await asyncpg.connect(dsn)
    try:
        return await connection.fetchval(statement)
    finally:
        await connection.close()

"""Bringing the schema of a PostgreSQL database up to date (``dwserver bootstrap``)."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

import asyncpg

from dwserver.store.api import MigrationReport
from dwserver.store.migrations import (
    LEDGER,
    BootstrapReport,
    all_tables,
    compare,
    load_migrations,
    pending_migrations,
)
from dwserver.store.postgres.errors import FAULTS, to_store_error
from dwserver.store.postgres.servers import Servers

MIGRATIONS = load_migrations("dwserver.store.postgres")

_TIMEOUT_SECONDS = 30.0

# A lock of the transaction, not of the session: it works through a pooler and ends with
# the transaction in whatever way that ends. The number is arbitrary, and ours.
_LOCK = "select pg_advisory_xact_lock(7236828793411)"
_LIMITS = "set local lock_timeout = '30s'"
_CREATE_LEDGER = f"""create table if not exists {LEDGER} (
    name text not null,
    applied_at bigint not null,
    constraint schema_migrations_pkey primary key (name)
)"""
_RECORD = f"""insert into {LEDGER} (name, applied_at)
values ($1, (extract(epoch from clock_timestamp()) * 1000000)::bigint)"""

_FIND_LEDGER = f"select to_regclass('{LEDGER}') is not null"
_LIST_APPLIED = f"select name from {LEDGER} order by name"
_LIST_TABLES = """select t.name
from unnest($1::text[]) t(name)
where to_regclass(t.name) is not null"""


async def bootstrap(dsn: str, *, plan: bool = False) -> BootstrapReport:
    """Apply or adopt the pending migrations, all of them in one transaction.

    Idempotent; a second bootstrap at the same time waits for the first and finds
    nothing to do. ``plan``: only look. Raises StoreUnavailable or StoreError; nothing
    has changed then, and trying again is the caller's decision.
    """
    try:
        connection = await Servers(dsn).connect(
            timeout=_TIMEOUT_SECONDS,
            command_timeout=2 * _TIMEOUT_SECONDS,
            statement_cache_size=0,
        )
        try:
            async with connection.transaction():
                return await _bring_up_to_date(connection, plan=plan)
        finally:
            await connection.close(timeout=_TIMEOUT_SECONDS)
    except FAULTS as error:
        raise to_store_error(error, is_writing=True) from error


async def _bring_up_to_date(
    connection: asyncpg.Connection, *, plan: bool
) -> BootstrapReport:
    if not plan:
        await connection.execute(_LIMITS)
        await connection.execute(_LOCK)
        await connection.execute(_CREATE_LEDGER)
    present: set[str] = set()
    if await connection.fetchval(_FIND_LEDGER):
        present = {row[0] for row in await connection.fetch(_LIST_APPLIED)}
    pending = pending_migrations(MIGRATIONS, present)
    tables = {
        row[0] for row in await connection.fetch(_LIST_TABLES, all_tables(pending))
    }
    applied, adopted = [], []
    for migration in () if plan else pending:
        if migration.is_adoptable(tables):
            adopted.append(migration.name)
        else:
            await connection.execute(migration.text)
            applied.append(migration.name)
        await connection.execute(_RECORD, migration.name)
    return BootstrapReport(
        present=tuple(sorted(present)),
        pending=tuple(migration.name for migration in pending),
        applied=tuple(applied),
        adopted=tuple(adopted),
    )


async def read_report(
    fetch: Callable[..., Awaitable[list[asyncpg.Record]]],
) -> MigrationReport:
    """The state of the schema; ``fetch`` runs one statement with its arguments."""
    ((has_ledger,),) = await fetch(_FIND_LEDGER)
    if not has_ledger:
        return compare(MIGRATIONS, None, ())
    applied = {row[0] for row in await fetch(_LIST_APPLIED)}
    tables = {row[0] for row in await fetch(_LIST_TABLES, all_tables(MIGRATIONS))}
    return compare(MIGRATIONS, applied, tables)

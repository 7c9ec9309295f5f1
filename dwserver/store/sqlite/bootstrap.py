"""Bringing the schema of a database file up to date (``dwserver bootstrap``)."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

from dwserver.store.api import MigrationReport, Namespace
from dwserver.store.migrations import (
    LEDGER,
    BootstrapReport,
    compare,
    load_migrations,
    pending_migrations,
)
from dwserver.store.sqlite.connections import connect_reader, connect_writer
from dwserver.store.sqlite.errors import FAULTS, to_store_error
from dwserver.store.sqlite.registry import create_namespace

MIGRATIONS = load_migrations("dwserver.store.sqlite")

_CREATE_LEDGER = f"""create table if not exists {LEDGER} (
    name text not null,
    applied_at integer not null,
    constraint schema_migrations_pkey primary key (name)
) strict"""
_RECORD = f"""insert into {LEDGER} (name, applied_at)
values (?1, cast((julianday('now') - 2440587.5) * 86400000000 as integer))"""
_LIST_TABLES = "select name from sqlite_schema where type = 'table'"
_LIST_APPLIED = f"select name from {LEDGER} order by name"


def bootstrap(
    path: Path, *, namespace: Namespace | None = None, plan: bool = False
) -> BootstrapReport:
    """Create the file if need be, apply or adopt the pending migrations and create the
    namespace unless it exists, all in one transaction. Blocks.

    Idempotent; a second bootstrap at the same time waits for the first and finds
    nothing to do. It may run while the file is served. ``plan``: only look, and create
    nothing. Raises StoreUnavailable or StoreError; nothing has changed then.
    """
    try:
        if plan:
            return _plan(path)
        with closing(connect_writer(path)) as connection:
            connection.execute("begin immediate")
            done = _bring_up_to_date(connection)
            if namespace is not None:
                create_namespace(connection, namespace)
            connection.execute("commit")
            return done
    except FAULTS as error:
        raise to_store_error(error) from error


def read_report(connection: sqlite3.Connection) -> MigrationReport:
    """The state of the schema."""
    tables = _tables(connection)
    applied = _applied(connection) if LEDGER in tables else None
    return compare(MIGRATIONS, applied, tables)


def _plan(path: Path) -> BootstrapReport:
    present: set[str] = set()
    if path.exists():
        with closing(connect_reader(path)) as connection:
            has_ledger = LEDGER in _tables(connection)
            present = _applied(connection) if has_ledger else set()
    pending = pending_migrations(MIGRATIONS, present)
    names = tuple(migration.name for migration in pending)
    return BootstrapReport(tuple(sorted(present)), names, ())


def _bring_up_to_date(connection: sqlite3.Connection) -> BootstrapReport:
    connection.execute(_CREATE_LEDGER)
    present = _applied(connection)
    pending = pending_migrations(MIGRATIONS, present)
    tables = _tables(connection)
    applied, adopted = [], []
    for migration in pending:
        if migration.is_adoptable(tables):
            adopted.append(migration.name)
        else:
            # Not executescript(): it would commit what came before.
            for statement in _statements(migration.text):
                connection.execute(statement)
            applied.append(migration.name)
        connection.execute(_RECORD, (migration.name,))
    return BootstrapReport(
        present=tuple(sorted(present)),
        pending=tuple(migration.name for migration in pending),
        applied=tuple(applied),
        adopted=tuple(adopted),
    )


def _tables(connection: sqlite3.Connection) -> set[str]:
    return {row["name"] for row in connection.execute(_LIST_TABLES)}


def _applied(connection: sqlite3.Connection) -> set[str]:
    return {row["name"] for row in connection.execute(_LIST_APPLIED)}


def _statements(text: str) -> Iterator[str]:
    """The statements of a migration, each as far as SQLite says that it is complete."""
    statement = ""
    for line in text.splitlines(keepends=True):
        statement += line
        if sqlite3.complete_statement(statement):
            yield statement
            statement = ""
    if statement.strip():
        yield statement

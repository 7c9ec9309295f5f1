"""Opening connections to the database file, set up for durable commits."""

from __future__ import annotations

import sqlite3
from pathlib import Path

from dwserver.store.api import StoreUnavailable

BUSY_SECONDS = 5.0
"""How long a statement waits for another process, a bootstrap for instance."""

_CACHED_STATEMENTS = 512
_CACHE_KIB = 32 * 1024
# A checkpoint costs two more syncs; a busy server makes a thousand pages in a moment.
_CHECKPOINT_PAGES = 4000
_MAX_IDLE_WAL_BYTES = 64 * 1024 * 1024
_OLDEST_VERSION = (3, 38, 0)
"""The first one with strict tables, ``update … from`` and ``->>``."""


def connect_writer(path: Path) -> sqlite3.Connection:
    """A connection that may write; creates the file. Raises sqlite3.Error."""
    connection = _connect(path.absolute().as_uri())
    try:
        connection.execute("pragma journal_mode = wal")
        connection.execute("pragma synchronous = full")
        connection.execute("pragma foreign_keys = on")
        connection.execute(f"pragma wal_autocheckpoint = {_CHECKPOINT_PAGES}")
        connection.execute(f"pragma journal_size_limit = {_MAX_IDLE_WAL_BYTES}")
    except sqlite3.Error:
        connection.close()
        raise
    return connection


def connect_reader(path: Path) -> sqlite3.Connection:
    """A connection that cannot write; the file exists already."""
    return _connect(f"{path.absolute().as_uri()}?mode=ro")


def check_file(connection: sqlite3.Connection) -> None:
    """Read the head of the file; raises sqlite3.Error."""
    connection.execute("pragma schema_version")


def _connect(uri: str) -> sqlite3.Connection:
    if sqlite3.sqlite_version_info < _OLDEST_VERSION:
        raise StoreUnavailable(
            f"SQLite {sqlite3.sqlite_version} is too old; "
            f"at least {'.'.join(map(str, _OLDEST_VERSION))} is needed"
        )
    connection = sqlite3.connect(
        uri,
        uri=True,
        timeout=BUSY_SECONDS,
        # Transactions begin and end where the code says so.
        isolation_level=None,
        cached_statements=_CACHED_STATEMENTS,
    )
    try:
        connection.execute(f"pragma cache_size = -{_CACHE_KIB}")
        connection.execute("pragma temp_store = memory")
    except sqlite3.Error:
        connection.close()
        raise
    connection.row_factory = _by_name
    return connection


def _by_name(cursor: sqlite3.Cursor, row: tuple[object, ...]) -> dict[str, object]:
    return {
        column[0]: value for column, value in zip(cursor.description, row, strict=True)
    }

"""What an exception of sqlite3 says about the database and about a write."""

from __future__ import annotations

import sqlite3

from dwserver.store.api import StoreError, StoreUnavailable

# Primary result codes that concern the file as a whole, not one statement.
_UNAVAILABLE = frozenset(
    {
        sqlite3.SQLITE_BUSY,
        sqlite3.SQLITE_CANTOPEN,
        sqlite3.SQLITE_CORRUPT,
        sqlite3.SQLITE_FULL,
        sqlite3.SQLITE_IOERR,
        sqlite3.SQLITE_LOCKED,
        sqlite3.SQLITE_NOTADB,
        sqlite3.SQLITE_PERM,
        sqlite3.SQLITE_READONLY,
    }
)
_PRIMARY_CODE = 0xFF

# What a statement may raise; the last three when a value cannot be encoded or bound.
FAULTS = (sqlite3.Error, TypeError, ValueError, OverflowError)


def to_store_error(error: Exception, *, is_commit: bool = False) -> StoreError:
    """The error as the Store reports it.

    ``is_commit``: it was raised by COMMIT. What reached the disk by then may come to
    life when the file is opened next, so the outcome is unknown.
    """
    message = f"{type(error).__name__}: {error}"
    if is_commit:
        return StoreUnavailable(message, is_applied_unknown=True)
    code = getattr(error, "sqlite_errorcode", sqlite3.SQLITE_OK) & _PRIMARY_CODE
    return StoreUnavailable(message) if code in _UNAVAILABLE else StoreError(message)

"""What an asyncpg exception says about the database and about a write under way."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Final, TypeVar

import asyncpg

from dwserver.store.api import StoreError, StoreUnavailable

Rows = TypeVar("Rows")

_MAX_ATTEMPTS: Final = 3

# The server refused or ended the session, or is not the writable one (any more).
_REFUSALS = (
    asyncpg.exceptions.CannotConnectNowError,
    asyncpg.exceptions.IdleInTransactionSessionTimeoutError,
    asyncpg.exceptions.InvalidAuthorizationSpecificationError,
    asyncpg.exceptions.InvalidCatalogNameError,
    asyncpg.exceptions.TooManyConnectionsError,
    asyncpg.exceptions.ReadOnlySQLTransactionError,
)
_LOST_SESSIONS = (
    asyncpg.exceptions.PostgresConnectionError,
    asyncpg.exceptions.AdminShutdownError,
    asyncpg.exceptions.CrashShutdownError,
    asyncpg.exceptions.DatabaseDroppedError,
    asyncpg.exceptions.IdleSessionTimeoutError,
    asyncpg.InterfaceError,
    # What asyncpg raises when the server ended the session between two statements.
    asyncpg.InternalClientError,
    OSError,
    TimeoutError,
)

# Guards of what must be free, met by two transitions at the same moment.
_RESERVATIONS = frozenset({"instances_pkey", "schedules_by_public_id"})

# Everything that a statement on a connection may raise.
FAULTS = (asyncpg.PostgresError, *_LOST_SESSIONS, ValueError, TypeError)


def is_session_lost(error: BaseException) -> bool:
    """Whether the connection must be thrown away.

    A data error of the client side is both an ``InterfaceError`` and a ``ValueError``:
    it was raised before anything was sent.
    """
    if isinstance(error, ValueError):
        return False
    return isinstance(error, (*_LOST_SESSIONS, *_REFUSALS))


def to_store_error(error: BaseException, *, is_writing: bool) -> StoreError:
    """The error as the Store reports it.

    ``is_writing``: the statement was a commit; a session that is lost meanwhile leaves
    its outcome unknown. A refusal or a failed statement was certainly not applied.
    """
    message = f"{type(error).__name__}: {error}"
    if not is_session_lost(error):
        return StoreError(message)
    is_unknown = is_writing and not isinstance(error, _REFUSALS)
    return StoreUnavailable(message, is_applied_unknown=is_unknown)


async def write_with_retries(write: Callable[[], Awaitable[Rows]]) -> Rows:
    """The result of ``write``, which is repeated after a transient fault."""
    for attempt in range(1, _MAX_ATTEMPTS + 1):
        try:
            return await write()
        except FAULTS as error:
            if attempt == _MAX_ATTEMPTS or not _is_transient(error):
                raise to_store_error(error, is_writing=True) from error
    raise AssertionError("the last attempt returns or raises")


def _is_transient(error: BaseException) -> bool:
    """Certainly not applied, and likely to succeed when it is repeated: two processes
    locked in different orders, or reserved the same id at once."""
    if isinstance(error, asyncpg.exceptions.UniqueViolationError):
        return error.constraint_name in _RESERVATIONS
    return isinstance(
        error,
        asyncpg.exceptions.DeadlockDetectedError
        | asyncpg.exceptions.SerializationError,
    )

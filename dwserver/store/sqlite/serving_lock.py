"""One process serves a database file: a lock beside it says which."""

from __future__ import annotations

import fcntl
import os
from pathlib import Path

from dwserver.store.api import StoreUnavailable

_OPEN_FLAGS = os.O_RDWR | os.O_CREAT | os.O_CLOEXEC


class ServingLock:
    """A lock on ``<database>.lock``. The kernel releases it when the process dies.

    The file stays: who removed it could take it from under the next one.
    """

    def __init__(self, database: Path) -> None:
        self._database = database
        self._path = database.with_name(f"{database.name}.lock")
        self._descriptor: int | None = None

    def acquire(self) -> None:
        """Raises StoreUnavailable when it is held, or cannot be made."""
        try:
            descriptor = os.open(self._path, _OPEN_FLAGS, 0o600)
        except OSError as error:
            raise StoreUnavailable(
                f"{self._path} cannot be created: {error.strerror}"
            ) from error
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            holder = os.read(descriptor, 32).decode("ascii", "replace").strip()
            os.close(descriptor)
            raise StoreUnavailable(
                f"{self._database} is already served by process {holder or 'unknown'}; "
                "SQLite serves one process, use PostgreSQL for more"
            ) from error
        os.truncate(descriptor, 0)
        os.write(descriptor, f"{os.getpid()}\n".encode())
        self._descriptor = descriptor

    def release(self) -> None:
        """Does nothing when it is not held."""
        if self._descriptor is not None:
            os.close(self._descriptor)
            self._descriptor = None

"""Methods of the Store that run a function of a connection on one of its threads."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from typing import TypeVar

from dwserver.store.sqlite.thread import DatabaseThread

Result = TypeVar("Result")


class OnThreads:
    """One thread writes; requests read on another, operators list on a third."""

    def __init__(
        self, *, writer: DatabaseThread, reader: DatabaseThread, lister: DatabaseThread
    ) -> None:
        self._writer = writer
        self._reader = reader
        self._lister = lister

    async def _write(
        self, call: Callable[..., Result], *args: object, **named: object
    ) -> Result:
        return await _run(self._writer, call, *args, **named)

    async def _read(
        self, call: Callable[..., Result], *args: object, **named: object
    ) -> Result:
        return await _run(self._reader, call, *args, **named)

    async def _list(
        self, call: Callable[..., Result], *args: object, **named: object
    ) -> Result:
        return await _run(self._lister, call, *args, **named)


async def _run(
    thread: DatabaseThread,
    call: Callable[..., Result],
    *args: object,
    **named: object,
) -> Result:
    """The result of ``call(connection, *args, **named)`` on the thread."""

    def bound(connection: sqlite3.Connection) -> Result:
        return call(connection, *args, **named)

    return await thread.run(bound)

"""One durable transaction for all writes that wait."""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from contextlib import suppress
from typing import Any

from dwserver.store.sqlite.errors import to_store_error
from dwserver.store.sqlite.thread import Job


def run_in_transaction(
    connection: sqlite3.Connection, jobs: Sequence[Job[Any]]
) -> None:
    """Run the jobs in ``BEGIN IMMEDIATE … COMMIT``.

    A job that fails is undone by itself; the others stand. When the transaction cannot
    begin or commit, or a fault ends it, all jobs fail and nothing was written.
    """
    try:
        connection.execute("begin immediate")
        for job in jobs:
            _run_in_savepoint(connection, job)
    except sqlite3.Error as error:
        _fail(connection, jobs, error)
        return
    try:
        connection.execute("commit")
    except sqlite3.Error as error:
        _fail(connection, jobs, error, is_commit=True)


def _run_in_savepoint(connection: sqlite3.Connection, job: Job[Any]) -> None:
    connection.execute("savepoint job")
    job.run(connection)
    if job.error is not None:
        if not connection.in_transaction:
            # A full disk, for instance, ends the transaction with everything in it.
            raise sqlite3.OperationalError(str(job.error))
        connection.execute("rollback to job")
    connection.execute("release job")


def _fail(
    connection: sqlite3.Connection,
    jobs: Sequence[Job[Any]],
    error: sqlite3.Error,
    *,
    is_commit: bool = False,
) -> None:
    for job in jobs:
        job.error = to_store_error(error, is_commit=is_commit)
    if connection.in_transaction:
        # Should even this fail, the next transaction cannot begin and says so.
        with suppress(sqlite3.Error):
            connection.execute("rollback")

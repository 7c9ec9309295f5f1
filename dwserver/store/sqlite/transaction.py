"""One durable transaction for all writes that wait."""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from typing import Any

from dwserver.store.sqlite.errors import to_store_error
from dwserver.store.sqlite.thread import Job


def run_in_transaction(
    connection: sqlite3.Connection, jobs: Sequence[Job[Any]]
) -> None:
    """Run the jobs in ``BEGIN IMMEDIATE … COMMIT``.

    A job that fails is undone by itself; the others stand. When the transaction cannot
    begin or commit, or the database gives it up as a whole, all jobs fail.
    """
    try:
        if connection.in_transaction:
            connection.execute("rollback")
        connection.execute("begin immediate")
        for job in jobs:
            _run_in_savepoint(connection, job)
    except sqlite3.Error as error:
        _fail(jobs, error)
        return
    try:
        connection.execute("commit")
    except sqlite3.Error as error:
        _fail(jobs, error, is_commit=True)


def _run_in_savepoint(connection: sqlite3.Connection, job: Job[Any]) -> None:
    connection.execute("savepoint job")
    job.run(connection)
    if job.error is not None:
        # Raises if the fault has ended the transaction with everything in it.
        connection.execute("rollback to job")
    connection.execute("release job")


def _fail(
    jobs: Sequence[Job[Any]], error: sqlite3.Error, *, is_commit: bool = False
) -> None:
    for job in jobs:
        job.error = to_store_error(error, is_commit=is_commit)

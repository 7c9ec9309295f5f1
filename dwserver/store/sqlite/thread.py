"""A thread that owns a connection and does work on it, in the order of its arrival."""

from __future__ import annotations

import asyncio
import sqlite3
import threading
from collections.abc import Callable, Sequence
from queue import Empty, SimpleQueue
from typing import Any, Generic, TypeVar

from dwserver.store.api import StoreError, StoreUnavailable
from dwserver.store.sqlite.errors import FAULTS, to_store_error

_MAX_JOBS = 256

Result = TypeVar("Result")


class Job(Generic[Result]):
    """A call that waits for the thread, then its result or its error."""

    __slots__ = ("_call", "_future", "error", "result")

    def __init__(
        self,
        call: Callable[[sqlite3.Connection], Result],
        future: asyncio.Future[Result],
    ) -> None:
        self._call = call
        self._future = future
        self.result: Result | None = None
        self.error: Exception | None = None

    def run(self, connection: sqlite3.Connection) -> None:
        """Call it. An error is kept, a fault of the database as a StoreError."""
        try:
            self.result = self._call(connection)
        except FAULTS as error:
            self.error = to_store_error(error)
        except Exception as error:
            self.error = error

    def settle(self) -> None:
        """Report to the waiter, on the loop."""
        if self._future.done():
            return
        if self.error is not None:
            self._future.set_exception(self.error)
        else:
            self._future.set_result(self.result)  # type: ignore[arg-type]


RunJobs = Callable[[sqlite3.Connection, Sequence[Job[Any]]], None]


def run_each(connection: sqlite3.Connection, jobs: Sequence[Job[Any]]) -> None:
    """For a thread that reads: each job begins and ends by itself."""
    for job in jobs:
        job.run(connection)


class DatabaseThread:
    """Takes all jobs that wait, gives them to ``run_jobs``, reports them at once.

    ``connect`` is called on the thread and may raise StoreError or sqlite3.Error.
    """

    def __init__(
        self,
        name: str,
        connect: Callable[[], sqlite3.Connection],
        run_jobs: RunJobs,
    ) -> None:
        self._name = name
        self._connect = connect
        self._run_jobs = run_jobs
        self._queue: SimpleQueue[Job[Any] | None] = SimpleQueue()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._thread: threading.Thread | None = None
        self._ended: asyncio.Future[None] | None = None

    async def start(self) -> None:
        """Connect; raises StoreError when that fails."""
        loop = asyncio.get_running_loop()
        connected: asyncio.Future[None] = loop.create_future()
        self._loop = loop
        self._ended = loop.create_future()
        self._queue = SimpleQueue()
        thread = threading.Thread(
            target=self._serve, args=(connected,), name=self._name, daemon=True
        )
        thread.start()
        try:
            await connected
        except StoreError:
            thread.join()
            raise
        self._thread = thread

    async def stop(self) -> None:
        """Do what was submitted, close the connection and end."""
        thread, self._thread = self._thread, None
        if thread is None or self._ended is None:
            return
        self._queue.put(None)
        await self._ended
        thread.join()

    async def run(self, call: Callable[[sqlite3.Connection], Result]) -> Result:
        """The result of ``call`` on the thread.

        A caller that is cancelled does not stop it.
        """
        if self._thread is None or self._loop is None:
            raise StoreUnavailable("the store is not open")
        future: asyncio.Future[Result] = self._loop.create_future()
        self._queue.put(Job(call, future))
        return await future

    def _serve(self, connected: asyncio.Future[None]) -> None:
        try:
            connection = self._connect()
        except (StoreError, sqlite3.Error) as error:
            cause = error if isinstance(error, StoreError) else to_store_error(error)
            self._post(_reject, connected, cause)
            return
        self._post(_resolve, connected)
        try:
            while self._serve_once(connection):
                pass
        finally:
            connection.close()
            if self._ended is not None:
                self._post(_resolve, self._ended)

    def _serve_once(self, connection: sqlite3.Connection) -> bool:
        """Work off what waits; False when it was the last."""
        jobs, is_last = self._take()
        if not jobs:
            return not is_last
        try:
            self._run_jobs(connection, jobs)
        except Exception as error:
            # Whatever it is, nobody is left waiting.
            for job in jobs:
                job.error = job.error or error
        return self._post(_settle, jobs) and not is_last

    def _take(self) -> tuple[list[Job[Any]], bool]:
        jobs: list[Job[Any]] = []
        job = self._queue.get()
        while job is not None:
            jobs.append(job)
            if len(jobs) == _MAX_JOBS:
                return jobs, False
            try:
                job = self._queue.get_nowait()
            except Empty:
                return jobs, False
        return jobs, True

    def _post(self, callback: Callable[..., None], *args: object) -> bool:
        """Call on the loop; False when it is closed: then nobody waits any more."""
        assert self._loop is not None
        try:
            self._loop.call_soon_threadsafe(callback, *args)
        except RuntimeError:
            return False
        return True


def _settle(jobs: Sequence[Job[Any]]) -> None:
    for job in jobs:
        job.settle()


def _resolve(future: asyncio.Future[None]) -> None:
    if not future.done():
        future.set_result(None)


def _reject(future: asyncio.Future[None], error: StoreError) -> None:
    if not future.done():
        future.set_exception(error)

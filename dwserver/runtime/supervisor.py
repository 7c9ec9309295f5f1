"""Starts the services of a process in order, stops them in reverse, owns its tasks."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Coroutine
from dataclasses import dataclass
from typing import Any

import structlog

from dwserver.runtime.service import Service

_log = structlog.stdlib.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class FatalFailure:
    """Why the process must stop: which part failed, and how."""

    name: str
    error: BaseException


class ServiceStartError(Exception):
    """A service did not start; those before it have been stopped again."""

    def __init__(self, name: str, error: BaseException) -> None:
        super().__init__(f"{name} did not start: {error}")
        self.name = name
        self.error = error


class Supervisor:
    """Runs services and tasks; remembers the first fatal failure.

    `on_loop_failure` is called with a loop's name for each failed pass.
    """

    def __init__(self, on_loop_failure: Callable[[str], None] | None = None) -> None:
        self._on_loop_failure = on_loop_failure
        self._services: list[Service] = []
        self._started: list[Service] = []
        self._tasks: set[asyncio.Task[None]] = set()
        self._failure: FatalFailure | None = None
        self._has_failed = asyncio.Event()

    @property
    def failure(self) -> FatalFailure | None:
        """The first fatal failure, if there was one."""
        return self._failure

    def add(self, service: Service) -> None:
        """Append a service to the start order."""
        self._services.append(service)

    async def start(self) -> None:
        """Start every service in order.

        Raises ServiceStartError after stopping what had started, the failed one
        included. A cancelled start stops them too.
        """
        for service in self._services:
            self._started.append(service)
            try:
                await service.start()
            except BaseException as error:
                await self._stop_started()
                await self._cancel_tasks()
                if isinstance(error, Exception):
                    raise ServiceStartError(service.name, error) from error
                raise
            _log.debug("service_started", service=service.name)

    async def stop(self, timeout_seconds: float | None = None) -> None:
        """Drain in reverse order, stop in reverse order, cancel the other tasks.

        The time limit is for draining as a whole; what has not drained by then is
        stopped as it is. Failures are logged and do not keep the others running.
        """
        try:
            async with asyncio.timeout(timeout_seconds):
                for service in reversed(self._started):
                    await self._attempt("drain", service, service.drain)
        except TimeoutError:
            _log.warning("drain_timed_out", timeout_seconds=timeout_seconds)
        await self._stop_started()
        await self._cancel_tasks()

    async def wait_for_failure(self) -> FatalFailure:
        """Return the first fatal failure; wait for it if there is none yet."""
        await self._has_failed.wait()
        assert self._failure is not None
        return self._failure

    def spawn(
        self,
        name: str,
        coroutine: Coroutine[Any, Any, None],
        *,
        is_fatal: bool = False,
    ) -> asyncio.Task[None]:
        """Run a coroutine as an owned task; an exception that it ends with is
        logged, and stops the process if `is_fatal`."""
        task = asyncio.create_task(coroutine, name=name)
        self._tasks.add(task)
        task.add_done_callback(lambda done: self._finished(done, is_fatal))
        return task

    def report_fatal(self, name: str, error: BaseException) -> None:
        """Say that the process must stop; the first report is the one that counts."""
        _log.critical("fatal_failure", part=name, error=type(error).__name__)
        if self._failure is None:
            self._failure = FatalFailure(name, error)
            self._has_failed.set()

    def count_loop_failure(self, name: str) -> None:
        """Pass a failed pass on to the metrics."""
        if self._on_loop_failure is not None:
            self._on_loop_failure(name)

    def _finished(self, task: asyncio.Task[None], is_fatal: bool) -> None:
        self._tasks.discard(task)
        if task.cancelled() or (error := task.exception()) is None:
            return
        _log.error("task_failed", task=task.get_name(), exc_info=error)
        if is_fatal:
            self.report_fatal(task.get_name(), error)

    async def _stop_started(self) -> None:
        while self._started:
            service = self._started.pop()
            await self._attempt("stop", service, service.stop)

    async def _attempt(
        self, verb: str, service: Service, action: Callable[[], Awaitable[None]]
    ) -> None:
        try:
            await action()
        except Exception as error:
            _log.error(
                "service_failed", service=service.name, phase=verb, exc_info=error
            )

    async def _cancel_tasks(self) -> None:
        tasks = self._tasks - {asyncio.current_task()}
        for task in tasks:
            task.cancel()
        if tasks:
            await asyncio.wait(tasks)

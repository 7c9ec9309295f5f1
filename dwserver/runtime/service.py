"""The life of everything that runs in a process, and the shape of a background loop.

Contract (style of the project, spec-independent): `start` returns when the service
may be counted ready; `drain` stops taking new work and finishes what it holds;
`stop` releases everything. All three are idempotent, and `stop` is safe after a
failed or missing `start`.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Coroutine
from enum import StrEnum
from typing import Any, Protocol

import structlog

from dwserver.runtime.backoff import Backoff

_log = structlog.stdlib.get_logger(__name__)

Step = Callable[[], Awaitable[float | None]]
"""One pass of a loop; returns the seconds until the next pass is due (0: at once),
or None for the loop's interval. The interval stays the upper bound."""

Pause = Callable[[asyncio.Event, float | None], Awaitable[None]]
"""Waits until the event is set or the seconds (None: no limit) have passed."""


# After an outage of the database its tasks are redispatched within 3 s
# (spec/topology-and-operations.md §7.3), however long it took.
RETRY = Backoff(maximum_seconds=2.0)


class Service(Protocol):
    """A part of a process with a life of its own."""

    @property
    def name(self) -> str:
        """The name under which it is logged and counted."""
        ...

    async def start(self) -> None:
        """Return when ready."""
        ...

    async def drain(self) -> None:
        """Take no new work; return when the held work is done."""
        ...

    async def stop(self) -> None:
        """Release everything."""
        ...


class TaskHost(Protocol):
    """Owner of asyncio tasks; the supervisor is one."""

    def spawn(
        self, name: str, coroutine: Coroutine[Any, Any, None]
    ) -> asyncio.Task[None]:
        """Run a coroutine as a task that the host owns."""
        ...

    def report_fatal(self, name: str, error: BaseException) -> None:
        """Say that the process must stop."""
        ...

    def count_loop_failure(self, name: str) -> None:
        """Count one failed pass of a loop."""
        ...


class FailurePolicy(StrEnum):
    """What a failed pass of a loop means for the process."""

    STOP_PROCESS = "stop_process"
    RESTART = "restart"
    LOG = "log"


class Loop:
    """A background loop: one `step` after another, periodic, woken, or both.

    `interval_seconds` None runs only when `wake` is set. Each loop needs a `wake`
    of its own, because it clears it. After a failed pass the policy decides:
    STOP_PROCESS reports to the host and ends, RESTART waits the jittered backoff,
    LOG goes on as after a good pass.
    """

    def __init__(
        self,
        name: str,
        step: Step,
        host: TaskHost,
        *,
        interval_seconds: float | None = None,
        wake: asyncio.Event | None = None,
        on_failure: FailurePolicy = FailurePolicy.STOP_PROCESS,
        backoff: Backoff | None = None,
        pause: Pause | None = None,
    ) -> None:
        if interval_seconds is None and wake is None:
            raise ValueError(f"loop {name} has neither an interval nor a wake")
        if interval_seconds is not None and interval_seconds <= 0:
            raise ValueError(f"loop {name} needs a positive interval")
        self.name = name
        self._step = step
        self._host = host
        self._interval_seconds = interval_seconds
        self._wake = wake or asyncio.Event()
        self._on_failure = on_failure
        self._backoff = backoff or RETRY
        self._pause = pause or wait_event
        self._stopping = asyncio.Event()
        self._task: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Begin; the first pass runs at once."""
        if self._task is None and not self._stopping.is_set():
            self._task = self._host.spawn(self.name, self._run())

    async def drain(self) -> None:
        """Let the running pass finish, then end."""
        self._stopping.set()
        self._wake.set()
        if self._task is not None:
            await asyncio.wait({self._task})

    async def stop(self) -> None:
        """End at once: a running pass is cancelled."""
        self._stopping.set()
        if self._task is not None:
            self._task.cancel()
            await asyncio.wait({self._task})

    async def _run(self) -> None:
        failure_count = 0
        while not self._stopping.is_set():
            self._wake.clear()
            try:
                next_in_seconds = await self._step()
            except Exception as error:
                failure_count += 1
                if not await self._survives(error, failure_count):
                    return
            else:
                failure_count = 0
                await self._rest(next_in_seconds)

    async def _rest(self, next_in_seconds: float | None) -> None:
        if self._stopping.is_set():
            return
        if next_in_seconds is not None and next_in_seconds <= 0:
            await asyncio.sleep(0)
            return
        limits = (self._interval_seconds, next_in_seconds)
        await self._pause(
            self._wake, min((s for s in limits if s is not None), default=None)
        )

    async def _survives(self, error: Exception, failure_count: int) -> bool:
        """Count and log a failed pass, wait as the policy says; False ends."""
        self._host.count_loop_failure(self.name)
        _log.error(
            "loop_failed",
            loop=self.name,
            policy=self._on_failure.value,
            failures_in_a_row=failure_count,
            error=repr(error),
            # An outage makes every loop fail again and again.
            exc_info=error if failure_count == 1 else None,
        )
        match self._on_failure:
            case FailurePolicy.STOP_PROCESS:
                self._host.report_fatal(self.name, error)
                return False
            case FailurePolicy.RESTART:
                delay_seconds = self._backoff.delay_seconds(failure_count)
                await self._pause(self._stopping, delay_seconds)
            case FailurePolicy.LOG:
                await self._rest(None)
        return True


async def wait_event(event: asyncio.Event, timeout_seconds: float | None) -> None:
    """Return when the event is set or the time is over."""
    try:
        async with asyncio.timeout(timeout_seconds):
            await event.wait()
    except TimeoutError:
        return

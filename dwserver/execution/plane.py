"""The workers of a process as one of its services.

They have a thread and an event loop of their own: replays and a deployment's activities
may compute for long, and must not keep the node from answering.
"""

from __future__ import annotations

import asyncio
import contextlib
import secrets
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import StrEnum
from importlib import import_module
from typing import Any

import structlog

from dwserver.execution.definitions import (
    Definitions,
    ModuleUnusable,
    load_definitions,
)
from dwserver.execution.plan import WorkerPlan
from dwserver.runtime.backoff import Backoff
from dwserver.runtime.service import wait_event

_log = structlog.stdlib.get_logger(__name__)

# Imported when it is needed: see there.
SDK_MODULE = "dwserver.execution.worker"
# How long a thread that was told to end at once may take for it.
STOP_SECONDS = 2.0


class ExecutionStatus(StrEnum):
    """``invalid`` never gets better in this process; ``unavailable`` may."""

    OK = "ok"
    STARTING = "starting"
    UNAVAILABLE = "unavailable"
    INVALID = "invalid"
    DRAINING = "draining"


@dataclass(frozen=True, slots=True)
class ExecutionState:
    """How the workers are, in words that anybody may read."""

    status: ExecutionStatus
    message: str | None = None
    remediation: str | None = None


_STARTING = ExecutionState(ExecutionStatus.STARTING, "The workers are starting.")
_DRAINING = ExecutionState(
    ExecutionStatus.DRAINING, "The workers finish what they run and take no more."
)
_OK = ExecutionState(ExecutionStatus.OK)
_UNUSABLE = ExecutionState(
    ExecutionStatus.INVALID,
    "DW_EXECUTION_MODULES cannot be used.",
    "The log of this node says why. Mend the modules or the setting and start the "
    "node again.",
)
NOT_INSTALLED = ExecutionState(
    ExecutionStatus.INVALID,
    "The Durable Workflow SDK cannot be imported.",
    "Install dwserver with the extra `execution` and start the node again.",
)


class ExecutionPlane:
    """A worker for each task queue, kept running until the process drains.

    ``problem``: why no worker can ever run here, as found in the settings. A node with
    a problem stays up, tells it and is never ready (
    ``spec/topology-and-operations.md §7.7``).
    """

    name = "execution_plane"

    def __init__(
        self,
        plan: WorkerPlan,
        *,
        modules: Sequence[str],
        task_queues: Sequence[str],
        worker_name: str,
        problem: ExecutionState | None = None,
    ) -> None:
        self._plan = plan
        self._modules = modules
        self._task_queues = tuple(dict.fromkeys(task_queues))
        self._worker_name = worker_name
        self._problem = problem
        self._is_draining = False
        self._thread: threading.Thread | None = None
        self._has_ended = asyncio.Event()
        # What follows belongs to the thread. What is read outside is replaced whole.
        self._loaded: ExecutionState = _STARTING
        self._sdk: Any = None
        self._registered: frozenset[str] = frozenset()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._main: asyncio.Task[None] | None = None
        self._stop = asyncio.Event()
        self._backoff = Backoff(initial_seconds=0.5, maximum_seconds=15.0)

    def state(self) -> ExecutionState:
        """Whether every queue has its worker."""
        if self._problem is not None:
            return self._problem
        if self._is_draining:
            return _DRAINING
        if self._loaded.status is not ExecutionStatus.OK:
            return self._loaded
        missing = sorted(set(self._task_queues) - self._registered)
        if not missing:
            return _OK
        return ExecutionState(
            ExecutionStatus.UNAVAILABLE,
            f"No worker is registered for {', '.join(missing)}.",
            "The log of this node says what keeps it from registering.",
        )

    async def start(self) -> None:
        """Begin. The node is up while its modules load and its workers register."""
        if self._problem is not None:
            _log.error("execution_impossible", problem=self._problem.message)
            return
        self._thread = threading.Thread(
            target=self._run_thread,
            args=(asyncio.get_running_loop(),),
            name=self.name,
            daemon=True,
        )
        self._thread.start()

    async def drain(self) -> None:
        """Let running tasks finish, deregister, end."""
        self._is_draining = True
        self._tell(self._stop.set)
        if self._thread is not None:
            await self._has_ended.wait()

    async def stop(self) -> None:
        """End at once: running tasks are cancelled, their leases will expire."""
        self._is_draining = True
        if self._thread is not None and not self._has_ended.is_set():
            self._tell(self._cancel)
            await wait_event(self._has_ended, STOP_SECONDS)

    def _tell(self, action: Callable[[], object]) -> None:
        """Have the thread's loop call something; nothing when that loop is over."""
        if self._loop is not None:
            with contextlib.suppress(RuntimeError):
                self._loop.call_soon_threadsafe(action)

    def _cancel(self) -> None:
        if self._main is not None:
            self._main.cancel()

    # in the thread ------------------------------------------------------------------
    def _run_thread(self, node: asyncio.AbstractEventLoop) -> None:
        try:
            with contextlib.suppress(asyncio.CancelledError):
                asyncio.run(self._run())
        finally:
            # The node may have given up waiting, and be gone.
            with contextlib.suppress(RuntimeError):
                node.call_soon_threadsafe(self._has_ended.set)

    async def _run(self) -> None:
        self._main = asyncio.current_task()
        self._loop = asyncio.get_running_loop()
        if self._is_draining:
            return
        definitions = self._load()
        if definitions is not None:
            await asyncio.gather(
                *(self._keep_running(definitions, queue) for queue in self._task_queues)
            )

    def _load(self) -> Definitions | None:
        try:
            self._sdk = import_module(SDK_MODULE)
        except ImportError as error:
            _log.error(
                "execution_impossible", problem=NOT_INSTALLED.message, exc_info=error
            )
            self._loaded = NOT_INSTALLED
            return None
        try:
            definitions = load_definitions(self._modules)
            self._sdk.check_definitions(definitions)
        except Exception as error:
            cause = error.__cause__ if isinstance(error, ModuleUnusable) else error
            _log.error("execution_modules_unusable", problem=str(error), exc_info=cause)
            self._loaded = _UNUSABLE
            return None
        _log.info(
            "execution_modules_loaded",
            workflows=len(definitions.workflows),
            activities=len(definitions.activities),
        )
        self._loaded = _OK
        return definitions

    async def _keep_running(self, definitions: Definitions, queue: str) -> None:
        """One worker after the other: each may end only because it was told to."""
        failures = 0
        while not self._stop.is_set():
            was_registered = await self._run_one(definitions, queue)
            failures = 1 if was_registered else failures + 1
            if not self._stop.is_set():
                await wait_event(self._stop, self._backoff.delay_seconds(failures))

    async def _run_one(self, definitions: Definitions, queue: str) -> bool:
        """A worker until its end; whether it ever was registered."""
        worker_id = f"{self._worker_name}-{queue}-{secrets.token_hex(4)}"

        def registered() -> None:
            self._registered |= {queue}
            _log.info("worker_registered", worker_id=worker_id, task_queue=queue)

        try:
            await self._sdk.run_worker(
                self._plan,
                definitions,
                worker_id=worker_id,
                task_queue=queue,
                on_registered=registered,
                stop=self._stop,
            )
        except Exception as error:
            _log.warning("worker_failed", worker_id=worker_id, exc_info=error)
        was_registered = queue in self._registered
        self._registered -= {queue}
        return was_registered

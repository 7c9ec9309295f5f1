"""The exchange of query tasks: callers ask, polls lease, workers answer.

A query task exists only here (decision 23): no history, no row. Losing one is a
time-out for its caller, never a hang. Every method may raise
:class:`QueryExchangeUnavailable`. The rules that all exchanges share are in
``dwserver/coordination/query_guards.py``.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Protocol, TypeAlias

from dwserver.engine.model import Payload
from dwserver.engine.outcome import Rejection


class QueryExchangeUnavailable(Exception):
    """The exchange cannot be reached, or takes no more work (shutdown)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class QueryTask:
    """A question to the code of a workflow. ``deadline_at``: when its caller stops
    waiting."""

    id: str
    namespace: str
    queue: str
    workflow_id: str
    run_id: str
    workflow_type: str
    compatibility: str | None
    query_name: str
    arguments: Payload | None
    deadline_at: int


@dataclass(frozen=True, slots=True, kw_only=True)
class QueryPoll:
    """Who would answer. ``types``: what the worker supports, None for everything;
    ``is_connected`` tells whether it can still be given something."""

    namespace: str
    queue: str
    worker_id: str
    build_id: str | None
    types: frozenset[str] | None
    is_connected: Callable[[], bool]

    def accepts(self, task: QueryTask) -> bool:
        """Unmarked runs suit any worker; marked ones need the worker's build id."""
        if task.compatibility is not None and task.compatibility != self.build_id:
            return False
        return self.types is None or task.workflow_type in self.types


@dataclass(frozen=True, slots=True)
class QueryLease:
    """A task in the hands of a worker; ``attempt`` counts its leases from 1."""

    task: QueryTask
    owner: str
    attempt: int
    expires_at: int


@dataclass(frozen=True, slots=True)
class QueryTaskRef:
    """How a worker names the query task that it holds."""

    namespace: str
    task_id: str
    owner: str
    attempt: int


@dataclass(frozen=True, slots=True)
class Answered:
    """``result``: JSON text; ``envelope``: the same encoded, if the worker did so."""

    result: bytes
    envelope: Payload | None


@dataclass(frozen=True, slots=True)
class Failed:
    """The worker could not answer; ``reason`` is its own word."""

    reason: str
    message: str


class Unanswered(StrEnum):
    """Why no worker said anything."""

    QUEUE_FULL = "queue_full"
    NOT_CLAIMED = "not_claimed"
    TIMED_OUT = "timed_out"
    CALLER_GONE = "caller_gone"


Answer: TypeAlias = Answered | Failed
QueryOutcome: TypeAlias = Answered | Failed | Unanswered


class QueryExchange(Protocol):
    """See the module text."""

    async def ask(
        self, task: QueryTask, *, is_waited_for: Callable[[], bool]
    ) -> QueryOutcome:
        """Enqueue ``task`` and wait for its outcome, at the latest at its deadline.

        An exchange that can asks ``is_waited_for`` before it gives the task to a
        worker. Cancelling withdraws the task.
        """
        ...

    async def lease(self, poll: QueryPoll, *, seconds: float) -> QueryLease | None:
        """The oldest task that suits, waited for up to ``seconds``. It goes back to
        the head of its queue when the lease expires before an answer came."""
        ...

    async def give_back(self, lease: QueryLease) -> None:
        """The lease did not reach its worker: offer the task again at once."""
        ...

    async def find(self, ref: QueryTaskRef) -> QueryLease | None:
        """The lease that ``ref`` names, while it is good."""
        ...

    async def settle(self, ref: QueryTaskRef, answer: Answer) -> Rejection | None:
        """Hand the answer to the caller; a rejection when the worker does not hold
        the task (any more)."""
        ...

    async def pending(self, namespace: str, queues: Sequence[str]) -> list[int]:
        """How many tasks nobody holds, in each of the queues."""
        ...

    def drain(self) -> None:
        """End every wait of this process: polls empty, callers with
        :class:`QueryExchangeUnavailable`; take no more."""
        ...

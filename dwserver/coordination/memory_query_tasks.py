"""The exchange of query tasks within one process.

Open tasks are bounded by queue, by number and by the bytes of their arguments. A task
goes to the longest waiting poll that suits, or waits in its queue, oldest first. What
happens later (deadline of a caller, end of a lease, end of a poll) is planned with
``call_later``: nothing is looked at in intervals.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import TypeAlias

from dwserver.coordination.query_guards import (
    QueryTaskStatus,
    Standing,
    status_after,
    unanswered,
    why_not_settled,
)
from dwserver.coordination.query_limits import QueryLimits, QueryTaskObserver
from dwserver.coordination.query_tasks import (
    Answer,
    QueryExchangeUnavailable,
    QueryLease,
    QueryOutcome,
    QueryPoll,
    QueryTask,
    QueryTaskRef,
    Unanswered,
)
from dwserver.coordination.query_waits import Callers, WaitingPoll
from dwserver.coordination.settled_queries import SettledQueries
from dwserver.engine.outcome import Rejection
from dwserver.engine.wire_time import MICROS
from dwserver.runtime.timers import CallLater, TimerHandle, on_event_loop

MAX_REMEMBERED = 20_000

QueueName: TypeAlias = tuple[str, str]


@dataclass(slots=True, eq=False)
class _Asked:
    """A caller that waits for the answer to ``task``."""

    task: QueryTask
    is_waited_for: Callable[[], bool]
    answer: asyncio.Future[QueryOutcome | None]
    attempt: int = 0
    owner: str | None = None
    lease_expires_at: int = 0
    lease_end: TimerHandle | None = None

    @property
    def queue(self) -> QueueName:
        return (self.task.namespace, self.task.queue)

    @property
    def standing(self) -> Standing:
        is_leased = self.owner is not None
        return Standing(
            self.task.namespace,
            QueryTaskStatus.LEASED if is_leased else QueryTaskStatus.PENDING,
            self.attempt,
            self.owner,
            self.lease_expires_at,
        )


class MemoryQueryExchange:
    """A :class:`~dwserver.coordination.query_tasks.QueryExchange`."""

    def __init__(
        self,
        *,
        now: Callable[[], int],
        limits: QueryLimits,
        observer: QueryTaskObserver,
        call_later: CallLater = on_event_loop,
    ) -> None:
        self._now = now
        self._limits = limits
        self._observer = observer
        self._call_later = call_later
        self._asked: Callers[_Asked] = Callers(limits)
        self._pending: dict[QueueName, dict[_Asked, None]] = {}
        self._pending_count = 0
        self._polls: dict[QueueName, dict[WaitingPoll, None]] = {}
        self._settled = SettledQueries(keep=limits.keep, max_entries=MAX_REMEMBERED)
        self._is_draining = False

    # callers --------------------------------------------------------------------
    async def ask(
        self, task: QueryTask, *, is_waited_for: Callable[[], bool]
    ) -> QueryOutcome:
        if self._is_draining:
            raise QueryExchangeUnavailable("this process stops")
        loop = asyncio.get_running_loop()
        asked = _Asked(task, is_waited_for, loop.create_future())
        if not self._has_room(asked):
            return Unanswered.QUEUE_FULL
        self._asked.add(asked)
        left = (task.deadline_at - self._now()) / MICROS
        deadline = self._call_later(left, partial(self._time_out, asked))
        self._offer(asked)
        try:
            outcome = await asked.answer
        finally:
            deadline.cancel()
            # The caller itself may have been cancelled.
            self._close(asked, QueryTaskStatus.TIMED_OUT)
        if outcome is None:
            raise QueryExchangeUnavailable("this process stops")
        return outcome

    def _has_room(self, asked: _Asked) -> bool:
        limits, queue = self._limits, asked.queue
        if len(self._pending.get(queue, ())) >= limits.pending_per_queue:
            for other in tuple(self._pending[queue]):
                self._end_if_gone(other)
        return len(
            self._pending.get(queue, ())
        ) < limits.pending_per_queue and self._asked.has_room(asked.task)

    def _time_out(self, asked: _Asked) -> None:
        self._end(asked, QueryTaskStatus.TIMED_OUT, unanswered(asked.attempt))

    def _end_if_gone(self, asked: _Asked) -> bool:
        """End the task of a caller that has left; nobody should work for it."""
        if asked.is_waited_for():
            return False
        self._end(asked, QueryTaskStatus.TIMED_OUT, Unanswered.CALLER_GONE)
        return True

    def _end(
        self, asked: _Asked, status: QueryTaskStatus, outcome: QueryOutcome | None
    ) -> None:
        self._close(asked, status)
        if not asked.answer.done():
            asked.answer.set_result(outcome)

    def _close(self, asked: _Asked, status: QueryTaskStatus) -> None:
        if not self._asked.remove(asked):
            return
        self._unqueue(asked)
        self._end_lease(asked)
        standing = Standing(asked.task.namespace, status, asked.attempt)
        self._settled.add(asked.task.id, standing, now=self._now())

    # queues ---------------------------------------------------------------------
    def _offer(self, asked: _Asked, *, at_front: bool = False) -> None:
        """Give the task to a waiting poll, else queue it."""
        waiting = self._suitable_poll(asked)
        if waiting is not None:
            waiting.answer.set_result(self._lease_to(waiting.poll, asked))
            return
        queue = self._pending.setdefault(asked.queue, {})
        if at_front:
            self._pending[asked.queue] = {asked: None, **queue}
        else:
            queue[asked] = None
        self._count_pending(1)

    def _suitable_poll(self, asked: _Asked) -> WaitingPoll | None:
        for waiting in tuple(self._polls.get(asked.queue, ())):
            if waiting.answer.done() or not waiting.poll.is_connected():
                self._discard(waiting)
                waiting.end()
            elif waiting.poll.accepts(asked.task):
                self._discard(waiting)
                return waiting
        return None

    def _unqueue(self, asked: _Asked) -> None:
        queue = self._pending.get(asked.queue)
        if queue is None or asked not in queue:
            return
        del queue[asked]
        if not queue:
            del self._pending[asked.queue]
        self._count_pending(-1)

    def _count_pending(self, change: int) -> None:
        self._pending_count += change
        self._observer.pending(self._pending_count)

    # leases ---------------------------------------------------------------------
    async def lease(self, poll: QueryPoll, *, seconds: float) -> QueryLease | None:
        if self._is_draining:
            return None
        found = self._oldest(poll)
        if found is not None or seconds <= 0:
            return found
        waiting = WaitingPoll(poll)
        self._polls.setdefault((poll.namespace, poll.queue), {})[waiting] = None
        end = self._call_later(seconds, waiting.end)
        try:
            return await waiting.answer
        except asyncio.CancelledError:
            lease = waiting.unseen()
            if lease is not None:
                await self.give_back(lease)
            raise
        finally:
            end.cancel()
            self._discard(waiting)

    def _oldest(self, poll: QueryPoll) -> QueryLease | None:
        for asked in tuple(self._pending.get((poll.namespace, poll.queue), ())):
            if poll.accepts(asked.task) and not self._end_if_gone(asked):
                self._unqueue(asked)
                return self._lease_to(poll, asked)
        return None

    def _lease_to(self, poll: QueryPoll, asked: _Asked) -> QueryLease:
        asked.attempt += 1
        asked.owner = poll.worker_id
        asked.lease_expires_at = self._now() + self._limits.lease
        lease = QueryLease(
            asked.task, poll.worker_id, asked.attempt, asked.lease_expires_at
        )
        asked.lease_end = self._call_later(
            self._limits.lease / MICROS, partial(self._expire, lease)
        )
        return lease

    def _discard(self, waiting: WaitingPoll) -> None:
        name = (waiting.poll.namespace, waiting.poll.queue)
        queue = self._polls.get(name)
        if queue is not None:
            queue.pop(waiting, None)
            if not queue:
                del self._polls[name]

    def _end_lease(self, asked: _Asked) -> None:
        if asked.lease_end is not None:
            asked.lease_end.cancel()
        asked.lease_end = asked.owner = None

    def _held(self, lease: QueryLease) -> _Asked | None:
        """The task, if this very lease is the current one."""
        asked = self._asked.get(lease.task.id)
        if asked is None or asked.owner is None or asked.attempt != lease.attempt:
            return None
        return asked

    def _expire(self, lease: QueryLease) -> None:
        asked = self._held(lease)
        if asked is not None:
            self._observer.lease_expired()
            self._offer_again(asked)

    def _offer_again(self, asked: _Asked) -> None:
        self._end_lease(asked)
        if not self._end_if_gone(asked):
            self._offer(asked, at_front=True)

    async def give_back(self, lease: QueryLease) -> None:
        asked = self._held(lease)
        if asked is not None:
            self._offer_again(asked)

    async def find(self, ref: QueryTaskRef) -> QueryLease | None:
        asked, now = self._asked.get(ref.task_id), self._now()
        if asked is None or why_not_settled(ref, asked.standing, now=now) is not None:
            return None
        return QueryLease(asked.task, ref.owner, ref.attempt, asked.lease_expires_at)

    # answers --------------------------------------------------------------------
    async def settle(self, ref: QueryTaskRef, answer: Answer) -> Rejection | None:
        now = self._now()
        asked = self._asked.get(ref.task_id)
        standing = asked.standing if asked else self._settled.find(ref.task_id, now=now)
        refused = why_not_settled(ref, standing, now=now)
        if asked is None or refused is not None:
            return refused
        self._end(asked, status_after(answer), answer)
        return None

    async def pending(self, namespace: str, queues: Sequence[str]) -> list[int]:
        return [len(self._pending.get((namespace, queue), ())) for queue in queues]

    # shutdown -------------------------------------------------------------------
    def drain(self) -> None:
        self._is_draining = True
        for asked in self._asked:
            self._end(asked, QueryTaskStatus.TIMED_OUT, None)
        for queue in tuple(self._polls.values()):
            for waiting in tuple(queue):
                self._discard(waiting)
                waiting.end()

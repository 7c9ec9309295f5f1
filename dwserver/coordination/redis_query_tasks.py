"""The exchange of query tasks between processes, on Redis.

Tasks and their leases are in Redis, changed by scripts; callers and polls wait in their
processes. Signals say that a task was asked or has ended; what time changes (deadlines,
ends of leases) is caught up with by whoever looks next. A poll that waits costs no
command: a queue is looked at when something was heard of it, or when a lease in it
ends. While Redis is away callers are refused and polls wait on.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Sequence
from dataclasses import dataclass
from enum import Enum
from functools import partial
from typing import Any, TypeAlias

from dwserver.coordination.query_guards import QueryTaskStatus
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
from dwserver.coordination.redis_query_table import NEVER, QueryTable
from dwserver.coordination.wake_signals import Key, Topic, WakeSignals
from dwserver.engine.outcome import Rejection
from dwserver.engine.wire_time import MICROS
from dwserver.runtime.timers import CallLater, TimerHandle, on_event_loop

QueueName: TypeAlias = tuple[str, str]
Spawn: TypeAlias = Callable[[str, Coroutine[Any, Any, None]], object]


# A caller that waits for longer makes sure that its task is still there: a Redis may
# forget everything without breaking a connection. Most queries are answered before.
ASK_AGAIN_SECONDS = 2.0
# Queues that are known to have nothing for anybody.
MAX_QUIET_QUEUES = 10_000


class _End(Enum):
    """Why a caller stops waiting without an answer."""

    TIME_IS_UP = "time is up"
    CALLER_GONE = "caller gone"
    DRAINED = "drained"


@dataclass(slots=True, eq=False)
class _Asked:
    """A caller of this process that waits for the answer to ``task``."""

    task: QueryTask
    is_waited_for: Callable[[], bool]
    end: asyncio.Future[Answer | _End]
    is_pending: bool = True
    again: TimerHandle | None = None


class RedisQueryExchange:
    """A :class:`~dwserver.coordination.query_tasks.QueryExchange`."""

    def __init__(
        self,
        table: QueryTable,
        *,
        signals: WakeSignals,
        spawn: Spawn,
        now: Callable[[], int],
        limits: QueryLimits,
        observer: QueryTaskObserver,
        call_later: CallLater = on_event_loop,
    ) -> None:
        self._table = table
        self._signals = signals
        self._spawn = spawn
        self._now = now
        self._limits = limits
        self._observer = observer
        self._call_later = call_later
        self._asked: Callers[_Asked] = Callers(limits)
        self._pending_count = 0
        self._polls: dict[QueueName, dict[WaitingPoll, None]] = {}
        self._lease_ends: dict[QueueName, TimerHandle] = {}
        # Until when a queue has nothing, if nothing is heard of it.
        self._quiet: dict[QueueName, int] = {}
        self._news = 0
        self._looking: set[QueueName] = set()
        self._look_again: set[QueueName] = set()
        self._is_draining = False
        signals.listen(Topic.QUERY_ASKED, self._heard_of_queue)
        signals.listen(Topic.QUERY_ENDED, self._heard_of_end)
        signals.on_gap(self._missed_signals)

    # callers --------------------------------------------------------------------
    async def ask(
        self, task: QueryTask, *, is_waited_for: Callable[[], bool]
    ) -> QueryOutcome:
        if self._is_draining:
            raise QueryExchangeUnavailable("this process stops")
        asked = _Asked(task, is_waited_for, asyncio.get_running_loop().create_future())
        if not self._asked.has_room(task):
            return Unanswered.QUEUE_FULL
        self._asked.add(asked)
        self._count_pending(1)
        try:
            if not await self._enqueue(asked):
                return Unanswered.QUEUE_FULL
            return await self._outcome(asked)
        finally:
            self._forget(asked)

    def _forget(self, asked: _Asked) -> None:
        self._asked.remove(asked)
        self._is_held(asked)

    def _is_held(self, asked: _Asked) -> None:
        if asked.is_pending:
            asked.is_pending = False
            self._count_pending(-1)

    def _count_pending(self, change: int) -> None:
        self._pending_count += change
        self._observer.pending(self._pending_count)

    async def _enqueue(self, asked: _Asked) -> bool:
        """False when the queue is full even without those whose callers have gone."""
        if await self._table.put(asked.task) is None:
            gone = [each for each in self._asked if not each.is_waited_for()]
            for each in gone:
                self._end(each, _End.CALLER_GONE)
                await self._table.finish(each.task, is_last=True)
            if not gone or await self._table.put(asked.task) is None:
                return False
        self._tell_of(asked.task)
        return True

    def _tell_of(self, task: QueryTask) -> None:
        queue = (task.namespace, task.queue)
        self._signals.publish(Topic.QUERY_ASKED, queue)
        self._heard_of_queue(queue)

    async def _outcome(self, asked: _Asked) -> QueryOutcome:
        left = (asked.task.deadline_at - self._now()) / MICROS
        deadline = self._call_later(left, partial(self._end, asked, _End.TIME_IS_UP))
        self._plan_asking_again(asked)
        try:
            end = await asked.end
        except asyncio.CancelledError:
            await asyncio.shield(self._withdraw(asked))
            raise
        finally:
            deadline.cancel()
            if asked.again is not None:
                asked.again.cancel()
        if not isinstance(end, _End):
            return end
        try:
            last = await self._table.finish(asked.task, is_last=True)
        except QueryExchangeUnavailable:
            last = Unanswered.TIMED_OUT
        if not isinstance(last, Unanswered) or end is _End.TIME_IS_UP:
            return last
        if end is _End.CALLER_GONE:
            return Unanswered.CALLER_GONE
        raise QueryExchangeUnavailable("this process stops")

    def _end(self, asked: _Asked, end: Answer | _End) -> None:
        if not asked.end.done():
            asked.end.set_result(end)

    async def _withdraw(self, asked: _Asked) -> None:
        try:
            await self._table.finish(asked.task, is_last=True)
        except QueryExchangeUnavailable:
            # Its deadline ends it.
            return

    # what is heard --------------------------------------------------------------
    def _heard_of_queue(self, key: Key) -> None:
        name = (str(key[0]), str(key[1]))
        self._news += 1
        self._quiet.pop(name, None)
        if name in self._polls:
            self._look(name)

    def _heard_of_end(self, task_id: Key) -> None:
        asked = self._asked.get(str(task_id))
        if asked is not None:
            self._spawn("query-answer", self._fetch(asked))

    async def _fetch(self, asked: _Asked) -> None:
        try:
            found = await self._table.finish(asked.task, is_last=False)
        except QueryExchangeUnavailable:
            # The last look is at the deadline.
            return
        if not isinstance(found, Unanswered):
            self._end(asked, found)

    def _missed_signals(self) -> None:
        """Look at everything; what Redis has lost is asked again."""
        self._news += 1
        self._quiet.clear()
        for queue in tuple(self._polls):
            self._look(queue)
        for asked in self._asked:
            self._spawn("query-again", self._ask_again(asked))

    def _plan_asking_again(self, asked: _Asked) -> None:
        def ring() -> None:
            self._plan_asking_again(asked)
            self._spawn("query-again", self._ask_again(asked))

        asked.again = self._call_later(ASK_AGAIN_SECONDS, ring)

    async def _ask_again(self, asked: _Asked) -> None:
        try:
            if await self._table.put(asked.task) is QueryTaskStatus.PENDING:
                self._tell_of(asked.task)
        except QueryExchangeUnavailable:
            return
        await self._fetch(asked)

    async def pending(self, namespace: str, queues: Sequence[str]) -> list[int]:
        return await self._table.pending(namespace, queues)

    # polls ----------------------------------------------------------------------
    async def lease(self, poll: QueryPoll, *, seconds: float) -> QueryLease | None:
        if self._is_draining:
            return None
        queue = (poll.namespace, poll.queue)
        news = self._news
        if self._quiet.get(queue, 0) <= self._now():
            found = await self._take_or_none(poll)
            if found is not None or seconds <= 0 or self._is_draining:
                return found
        elif seconds <= 0:
            return None
        waiting = WaitingPoll(poll)
        self._polls.setdefault(queue, {})[waiting] = None
        end = self._call_later(seconds, waiting.end)
        if self._news != news:
            self._look(queue)
        else:
            self._plan_look(queue)
        try:
            return await waiting.answer
        except asyncio.CancelledError:
            lease = waiting.unseen()
            if lease is not None:
                await asyncio.shield(self._hand_back(lease))
            raise
        finally:
            end.cancel()
            self._discard(queue, waiting)

    def _discard(self, queue: QueueName, waiting: WaitingPoll) -> None:
        polls = self._polls.get(queue)
        if polls is None:
            return
        polls.pop(waiting, None)
        if not polls:
            del self._polls[queue]
            planned = self._lease_ends.pop(queue, None)
            if planned is not None:
                planned.cancel()

    def _plan_look(self, queue: QueueName) -> None:
        """Look when the next lease of the queue ends."""
        at = self._quiet.get(queue, NEVER)
        if at == NEVER or queue not in self._polls or queue in self._lease_ends:
            return

        def ring() -> None:
            self._lease_ends.pop(queue, None)
            self._look(queue)

        seconds = (at - self._now()) / MICROS
        self._lease_ends[queue] = self._call_later(seconds, ring)

    def _look(self, queue: QueueName) -> None:
        if queue in self._looking:
            self._look_again.add(queue)
        elif not self._is_draining:
            self._looking.add(queue)
            self._spawn("query-look", self._serve(queue))

    async def _serve(self, queue: QueueName) -> None:
        """Give tasks to the polls of a queue until there is nothing more."""
        try:
            while True:
                self._look_again.discard(queue)
                await self._serve_once(queue)
                if queue not in self._look_again:
                    return
        finally:
            self._looking.discard(queue)
            self._plan_look(queue)

    async def _serve_once(self, queue: QueueName) -> None:
        refused = set()
        for waiting in tuple(self._polls.get(queue, ())):
            poll = waiting.poll
            kind = (poll.types, poll.build_id)
            if kind in refused or waiting.answer.done():
                continue
            if not poll.is_connected():
                waiting.end()
                continue
            lease = await self._take_or_none(poll)
            if lease is None:
                refused.add(kind)
                if queue in self._quiet:
                    return
            elif waiting.answer.done():
                await self._hand_back(lease)
            else:
                self._discard(queue, waiting)
                waiting.answer.set_result(lease)

    # leases ---------------------------------------------------------------------
    async def _take_or_none(self, poll: QueryPoll) -> QueryLease | None:
        """While Redis is away there is nothing, and the end of that is heard of."""
        try:
            return await self._take(poll)
        except QueryExchangeUnavailable:
            return None

    async def _take(self, poll: QueryPoll) -> QueryLease | None:
        """The oldest task that suits and whose caller still waits, as far as known."""
        while True:
            lease = await self._lease(poll)
            asked = self._asked.get(lease.task.id) if lease else None
            if asked is None or asked.is_waited_for():
                if asked is not None:
                    self._is_held(asked)
                return lease
            self._end(asked, _End.CALLER_GONE)
            await self._table.finish(asked.task, is_last=True)

    async def _lease(self, poll: QueryPoll) -> QueryLease | None:
        news = self._news
        look = await self._table.lease(poll)
        for _ in range(look.expired):
            self._observer.lease_expired()
        if look.lease is None and look.pending == 0 and news == self._news:
            if len(self._quiet) >= MAX_QUIET_QUEUES:
                self._quiet.clear()
            self._quiet[poll.namespace, poll.queue] = look.next_end
        return look.lease

    async def give_back(self, lease: QueryLease) -> None:
        if await self._table.give_back(lease):
            self._tell_of(lease.task)

    async def _hand_back(self, lease: QueryLease) -> None:
        try:
            await self.give_back(lease)
        except QueryExchangeUnavailable:
            # The lease runs out.
            return

    async def find(self, ref: QueryTaskRef) -> QueryLease | None:
        return await self._table.find(ref)

    # answers --------------------------------------------------------------------
    async def settle(self, ref: QueryTaskRef, answer: Answer) -> Rejection | None:
        refused = await self._table.settle(ref, answer)
        if refused is not None:
            return refused
        asked = self._asked.get(ref.task_id)
        if asked is not None:
            self._end(asked, answer)
        else:
            self._signals.publish(Topic.QUERY_ENDED, ref.task_id)
        return None

    # shutdown -------------------------------------------------------------------
    def drain(self) -> None:
        self._is_draining = True
        for asked in self._asked:
            self._end(asked, _End.DRAINED)
        for polls in tuple(self._polls.values()):
            for waiting in tuple(polls):
                waiting.end()

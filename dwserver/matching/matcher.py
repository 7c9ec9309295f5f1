"""Who gets a ready task: hand-off at its creation, claim rounds afterwards."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable, Coroutine, Mapping, Sequence
from typing import Any, Protocol

from dwserver.engine.model import Task
from dwserver.engine.wire_time import MICROS
from dwserver.engine.words import TaskKind
from dwserver.matching.backlog import Backlog
from dwserver.matching.pollers import Delivery, Poller, WaitingPollers
from dwserver.store.api import Definitions, QueueKey, ReadyTask

# A round asks for this many candidates of a queue beyond its waiting pollers, because
# some may not suit any of them or go to another process first.
SPARE_CANDIDATES = 8
MAX_CANDIDATES = 100
MAX_PLANNED_WAKES = 10_000
MAX_BACKLOG = 20_000


class TaskSource(Protocol):
    """The part of the store that matching reads."""

    async def ready_tasks(
        self,
        keys: list[QueueKey],
        *,
        now: int,
        limit: int,
        wanted: Mapping[QueueKey, Definitions] | None,
    ) -> list[ReadyTask]: ...


class MatchingObserver(Protocol):
    """Counters of matching."""

    def handed_off(self, kind: str) -> None: ...
    def claimed(self, kind: str) -> None: ...
    def round_finished(self, candidates: int) -> None: ...


# No task is ever put into this queue; workers that may not claim wait in it.
NOWHERE = QueueKey("", "", TaskKind.WORKFLOW)

Claim = Callable[[ReadyTask, Poller], Awaitable[Delivery | None]]


class QueueRefused(Exception):
    """A claim was not made: the caps of the queue leave no room now."""


def _to_nobody(key: QueueKey) -> None:
    """There is no other process."""


def _never(key: QueueKey) -> bool:
    """There are no caps."""
    return False


def key_of(task: Task) -> QueueKey:
    return QueueKey(task.namespace, task.queue, task.kind)


class Matcher:
    """Brings ready tasks and waiting pollers together.

    ``claim`` leases one candidate to a poller and commits; None when somebody else
    was faster; raises :class:`QueueRefused`. ``spawn`` owns the background task it is
    given. ``announce`` tells other processes of a queue with a ready task that nobody
    here waits for. Polls shorter than ``sweep_seconds`` look for themselves, since no
    sweep may come to their help; 0 when no other process makes tasks. Tasks of a queue
    that ``is_capped`` are claimed, never handed over.
    """

    def __init__(
        self,
        source: TaskSource,
        *,
        now: Callable[[], int],
        spawn: Callable[[str, Coroutine[Any, Any, None]], object],
        observer: MatchingObserver,
        announce: Callable[[QueueKey], None] = _to_nobody,
        sweep_seconds: float = 0.0,
        is_capped: Callable[[QueueKey], bool] = _never,
    ) -> None:
        self._source = source
        self._now = now
        self._spawn = spawn
        self._observer = observer
        self._announce = announce
        self._sweep_seconds = sweep_seconds
        self._is_capped = is_capped
        self._claim: Claim | None = None
        self.pollers = WaitingPollers()
        self._backlog = Backlog(max_tasks=MAX_BACKLOG)
        # Queues that may hold ready tasks: heard of, or never looked at.
        self._rumoured: set[QueueKey] = set()
        self._unfinished: set[QueueKey] = set()
        self._looked_at: set[QueueKey] = set()
        # For which definitions, where the last look was not for all.
        self._looked_for: dict[QueueKey, Definitions] = {}
        self._being_looked_at: Sequence[QueueKey] = ()
        self._planned: set[asyncio.TimerHandle] = set()
        self._round_is_running = False
        self.is_draining = False

    def bind(self, claim: Claim) -> None:
        """Give the function that leases a candidate (it needs the matcher itself)."""
        self._claim = claim

    # polls ----------------------------------------------------------------------
    async def wait(self, poller: Poller, *, seconds: float) -> Delivery | None:
        """Wait for a task; None after ``seconds`` or when the process drains."""
        if self.is_draining:
            return None
        delivery = await self._from_backlog(poller)
        if delivery is not None or self.is_draining:
            return delivery
        self.pollers.add(poller)
        if poller.key not in self._looked_at or seconds < self._sweep_seconds:
            self._looked_at.add(poller.key)
            self._rumoured.add(poller.key)
        if poller.key in self._unfinished:
            self._unfinished.discard(poller.key)
            self._rumoured.add(poller.key)
        looked_for = self._looked_for.get(poller.key)
        if looked_for is not None and not poller.is_served_by(looked_for):
            self._rumoured.add(poller.key)
        if poller.key in self._rumoured:
            self._start_round()
        loop = asyncio.get_running_loop()
        timeout = loop.call_later(seconds, self._give_up, poller)
        try:
            return await poller.answer
        finally:
            timeout.cancel()
            self.pollers.discard(poller)

    async def _from_backlog(self, poller: Poller) -> Delivery | None:
        while (candidate := self._backlog.take(poller)) is not None:
            try:
                delivery = await self._claimed(candidate, poller)
            except QueueRefused:
                self._backlog.put_in_front((candidate,))
                return None
            if delivery is not None:
                return delivery
        return None

    async def idle(self, *, seconds: float) -> None:
        """Hold a poll that must not get a task (a draining worker's)."""
        if self.is_draining:
            return
        poller = Poller(NOWHERE, "", None, frozenset(), lambda: True)
        self.pollers.add(poller)
        timeout = asyncio.get_running_loop().call_later(seconds, self._give_up, poller)
        try:
            await poller.answer
        finally:
            timeout.cancel()
            self.pollers.discard(poller)

    def _give_up(self, poller: Poller) -> None:
        # A poller that is reserved just now is answered by its commit, or put back
        # and then given up at once. One whose queue is being looked at is answered by
        # that look: however short a poll is, it has looked once.
        poller.is_overdue = True
        if self.pollers.is_waiting(poller) and not self._is_looking(poller.key):
            self.pollers.discard(poller)
            self.pollers.answer_empty(poller)

    def _is_looking(self, key: QueueKey) -> bool:
        return self._round_is_running and (
            key in self._rumoured or key in self._being_looked_at
        )

    # hand-off -------------------------------------------------------------------
    def reserve(self, task: Task) -> Poller | None:
        """The poller to which ``task`` is to be leased in its own transition."""
        key = key_of(task)
        if self.is_draining or self._is_capped(key):
            return None
        return self.pollers.reserve(key, task)

    def deliver(self, poller: Poller, delivery: Delivery) -> None:
        """The lease is durable: answer the poll."""
        self._observer.handed_off(poller.key.kind)
        self._answer(poller, delivery)

    def _answer(self, poller: Poller, delivery: Delivery | None) -> None:
        if not poller.answer.done():
            poller.answer.set_result(delivery)

    def answer_waiting(self, poller: Poller, delivery: Delivery) -> None:
        """A lease of another process is for this poll, unless it gets one here now."""
        if self.pollers.is_waiting(poller):
            self.pollers.discard(poller)
            self._answer(poller, delivery)

    def put_back(self, poller: Poller) -> None:
        """The transition was not applied: the poller waits on."""
        if self.is_draining:
            self.pollers.answer_empty(poller)
        else:
            self.pollers.put_back(poller)

    # news -----------------------------------------------------------------------
    def became_ready(self, task: Task) -> None:
        """A committed task is ready, now or later, and nobody was waiting for it."""
        key = key_of(task)
        delay = task.available_at - self._now()
        if delay <= 0:
            self._became_ready_now(key, task)
        elif len(self._planned) < MAX_PLANNED_WAKES:
            self._plan(key, delay / MICROS)

    def _became_ready_now(self, key: QueueKey, task: Task) -> None:
        if self.pollers.has_suitable(key, task):
            # Somebody began to wait while the task was being committed.
            self.heard_of(key)
            return
        known = ReadyTask(
            key,
            task.id,
            task.run_id,
            task.type_name,
            task.compatibility,
            task.available_at,
            task.definition_fingerprint,
        )
        if not self._backlog.add(known):
            self._rumoured.add(key)
        self._announce(key)

    def heard_of(self, key: QueueKey) -> None:
        """Something may be ready in this queue."""
        self._rumoured.add(key)
        if self.pollers.count(key):
            self._start_round()

    def heard_from_elsewhere(self, key: QueueKey) -> None:
        """Another process has a ready task in this queue and nobody to take it."""
        # The first poll of a queue looks anyway.
        if key in self._looked_at or self.pollers.count(key):
            self.heard_of(key)

    def missed_signals(self) -> None:
        """Other processes may have said something that was not heard."""
        self._looked_at.clear()
        self.sweep()

    def _plan(self, key: QueueKey, seconds: float) -> None:
        def arrive() -> None:
            self._planned.discard(handle)
            self.heard_of(key)
            if not self.pollers.count(key):
                self._announce(key)

        # A little late rather than early: a round before the instant finds nothing.
        handle = asyncio.get_running_loop().call_later(seconds + 0.001, arrive)
        self._planned.add(handle)

    def sweep(self) -> None:
        """Look at every queue somebody waits for or takes from, whatever was heard."""
        keys = {*self.pollers.queues(), *self._backlog.queues()} - {NOWHERE}
        if keys:
            self._rumoured.update(keys)
            self._start_round()

    def forget_idle_queues(self) -> None:
        """Drop what is remembered of queues nobody waits for (bounded growth)."""
        waiting = set(self.pollers.queues())
        self._looked_at &= waiting
        self._rumoured &= waiting
        self._unfinished &= waiting
        for key in self._looked_for.keys() - waiting:
            del self._looked_for[key]
        for key in self._backlog.queues():
            if key not in waiting:
                self._backlog.forget(key)

    # claim rounds ---------------------------------------------------------------
    def _start_round(self) -> None:
        if not self._round_is_running:
            self._round_is_running = True
            self._spawn("claim-round", self._rounds())

    async def _rounds(self) -> None:
        try:
            while keys := [key for key in self._rumoured if self._is_active(key)]:
                self._being_looked_at = keys
                await self._round(keys)
                self.pollers.release_overdue(keys)
        finally:
            self._being_looked_at = ()
            self._round_is_running = False
            self.pollers.release_overdue(self.pollers.queues())

    def _is_active(self, key: QueueKey) -> bool:
        return self.pollers.count(key) > 0 or self._backlog.holds(key)

    async def _round(self, keys: list[QueueKey]) -> None:
        wanted = max(self.pollers.count(key) for key in keys)
        limit = min(wanted + SPARE_CANDIDATES, MAX_CANDIDATES)
        self._rumoured.difference_update(keys)
        definitions = self.pollers.definitions(keys)
        for key in keys:
            self._looked_for.pop(key, None)
        self._looked_for.update(definitions)
        found = await self._source.ready_tasks(
            keys, now=self._now(), limit=limit, wanted=definitions
        )
        self._observer.round_finished(len(found))
        claims, unclaimed = [], []
        for candidate in found:
            poller = self.pollers.reserve(candidate.key, candidate)
            if poller is None:
                unclaimed.append(candidate)
            else:
                claims.append(self._claim_for(candidate, poller))
        counts = Counter(candidate.key for candidate in found)
        # The limit left some: the next poll need not wait for the sweep.
        self._unfinished.difference_update(keys)
        self._unfinished.update(key for key in keys if counts[key] >= limit)
        # Polls to come take these first: they are older than what becomes ready now.
        self._backlog.put_in_front(unclaimed)
        refused = set(await asyncio.gather(*claims))
        if claims:
            # What the limit left, and what arrived meanwhile. A queue without room is
            # looked at when something is heard of it, or by the sweep.
            waiting = {c.key for c in found if self.pollers.count(c.key)}
            self._rumoured.update(waiting - refused)

    async def _claim_for(self, candidate: ReadyTask, poller: Poller) -> QueueKey | None:
        """The queue if it was refused."""
        delivery = refused = None
        try:
            delivery = await self._claimed(candidate, poller)
        except QueueRefused:
            refused = candidate.key
        finally:
            if delivery is None:
                self.put_back(poller)
        if delivery is not None:
            self._answer(poller, delivery)
        return refused

    async def _claimed(self, candidate: ReadyTask, poller: Poller) -> Delivery | None:
        if self._claim is None:
            raise RuntimeError("the matcher has no claim function")
        delivery = await self._claim(candidate, poller)
        if delivery is not None:
            self._observer.claimed(candidate.key.kind)
        return delivery

    # shutdown -------------------------------------------------------------------
    def drain(self) -> None:
        """Answer every poll empty and take no more."""
        self.is_draining = True
        for handle in self._planned:
            handle.cancel()
        self._planned.clear()
        self.pollers.release_all()

"""Pollers waiting in this process, in order of arrival (``architecture.md §4``)."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Protocol

from dwserver.engine.definitions import may_continue
from dwserver.engine.leases import Leased
from dwserver.engine.model import Payload
from dwserver.engine.records import quick_init
from dwserver.engine.words import TaskKind
from dwserver.store.api import Definitions, QueueKey


class Offered(Protocol):
    """What a task says about the workers that may have it."""

    @property
    def type_name(self) -> str: ...
    @property
    def compatibility(self) -> str | None: ...
    @property
    def definition_fingerprint(self) -> str | None: ...


@quick_init
@dataclass(frozen=True, slots=True)
class Delivery:
    """A leased task on its way to a poller. ``arguments`` of an activity travel along
    when they are at hand (``has_arguments``), else they are read."""

    leased: Leased
    arguments: Payload | None = None
    has_arguments: bool = False


@dataclass(slots=True, eq=False)
class Poller:
    """One long poll. ``types``: what the worker supports, None for everything.

    ``is_connected`` tells whether the client can still be answered: a task must not
    be leased to one that has gone. ``fingerprints``: what the worker tells of its
    definitions, by workflow type; it keeps to them when it ``is_pinned``.
    """

    key: QueueKey
    worker_id: str
    build_id: str | None
    types: frozenset[str] | None
    is_connected: Callable[[], bool]
    fingerprints: Mapping[str, str] = field(default_factory=dict)
    is_pinned: bool = True
    is_overdue: bool = False
    answer: asyncio.Future[Delivery | None] = field(
        default_factory=lambda: asyncio.get_running_loop().create_future()
    )

    def accepts(self, task: Offered) -> bool:
        """Unmarked work suits any worker, marked work needs the worker's build id; a
        run that has begun needs a worker with its definition, or an unknown one."""
        marker = task.compatibility
        if marker is not None and marker != self.build_id:
            return False
        return self.may_run(task.type_name, task.definition_fingerprint)

    def may_run(self, type_name: str, recorded: str | None) -> bool:
        """Whether the worker has the type, in a definition that fits."""
        if (
            recorded is not None
            and self.is_pinned
            and not may_continue(recorded, self.fingerprints.get(type_name))
        ):
            return False
        return self.types is None or type_name in self.types

    def definitions(self) -> Definitions | None:
        """What it may go on with; None for everything."""
        if self.types is None or not self.is_pinned:
            return None
        told = self.fingerprints
        return Definitions(frozenset(told.values()), self.types - told.keys())

    def is_served_by(self, looked_for: Definitions) -> bool:
        """Whether a look for these has found whatever it may have."""
        own = self.definitions()
        return own is not None and looked_for.covers(own)


def _union(pollers: Iterable[Poller]) -> Definitions | None:
    """None for everything."""
    fingerprints: set[str] = set()
    types: set[str] = set()
    # Polls of one registration have the same fingerprints.
    kinds = {(id(poller.fingerprints), poller.types): poller for poller in pollers}
    for poller in kinds.values():
        own = poller.definitions()
        if own is None:
            return None
        fingerprints |= own.fingerprints
        types |= own.types
    return Definitions(frozenset(fingerprints), frozenset(types))


class WaitingPollers:
    """The pollers that wait, by queue. A reserved poller is out of the queue until its
    task is committed (deliver) or not (put back, at the front)."""

    def __init__(self) -> None:
        self._queues: dict[QueueKey, dict[Poller, None]] = {}

    def add(self, poller: Poller) -> None:
        self._queues.setdefault(poller.key, {})[poller] = None

    def put_back(self, poller: Poller) -> None:
        """Return a reserved poller to the head of its queue, if it still waits."""
        if poller.is_overdue:
            self.answer_empty(poller)
        elif not poller.answer.done():
            waiting = self._queues.get(poller.key, {})
            self._queues[poller.key] = {poller: None, **waiting}

    def discard(self, poller: Poller) -> None:
        queue = self._queues.get(poller.key)
        if queue is not None:
            queue.pop(poller, None)
            if not queue:
                del self._queues[poller.key]

    def reserve(self, key: QueueKey, task: Offered) -> Poller | None:
        """Take the longest waiting poller that suits; pollers that have gone are
        answered empty on the way."""
        chosen: Poller | None = None
        gone: list[Poller] = []
        for poller in self._queues.get(key, ()):
            if poller.answer.done() or not poller.is_connected():
                gone.append(poller)
            elif poller.accepts(task):
                chosen = poller
                break
        for poller in gone:
            self.discard(poller)
            self.answer_empty(poller)
        if chosen is not None:
            self.discard(chosen)
        return chosen

    def has_suitable(self, key: QueueKey, task: Offered) -> bool:
        return any(poller.accepts(task) for poller in self._queues.get(key, ()))

    def definitions(self, keys: Iterable[QueueKey]) -> dict[QueueKey, Definitions]:
        """What those who wait may go on with, of the queues that somebody waits for
        who may not go on with everything, and nobody who may."""
        found = {}
        for key in keys:
            waiting = self._queues.get(key, {})
            is_told = any(poller.fingerprints for poller in waiting)
            if is_told and key.kind is TaskKind.WORKFLOW:
                definitions = _union(waiting)
                if definitions is not None:
                    found[key] = definitions
        return found

    def is_waiting(self, poller: Poller) -> bool:
        return poller in self._queues.get(poller.key, ())

    def queues(self) -> list[QueueKey]:
        return list(self._queues)

    def count(self, key: QueueKey) -> int:
        return len(self._queues.get(key, ()))

    def counts(self) -> dict[TaskKind, int]:
        """Of polls whose clients are still there."""
        totals = dict.fromkeys(TaskKind, 0)
        for key, queue in self._queues.items():
            totals[key.kind] += sum(poller.is_connected() for poller in queue)
        return totals

    def release_overdue(self, keys: Iterable[QueueKey]) -> None:
        """Answer the pollers empty that only waited for the end of a look."""
        for key in keys:
            for poller in [p for p in self._queues.get(key, ()) if p.is_overdue]:
                self.discard(poller)
                self.answer_empty(poller)

    def release_all(self) -> None:
        """Answer every waiting poll empty (shutdown)."""
        pollers: Iterable[Poller] = [
            poller for queue in self._queues.values() for poller in queue
        ]
        self._queues.clear()
        for poller in pollers:
            self.answer_empty(poller)

    @staticmethod
    def answer_empty(poller: Poller) -> None:
        if not poller.answer.done():
            poller.answer.set_result(None)

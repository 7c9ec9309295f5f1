"""``Runs`` alone on a real database, with a matching that a test plays itself."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field

from dwserver.engine.context import Policy
from dwserver.engine.draft import Draft
from dwserver.engine.lifecycle.start import start_new
from dwserver.engine.model import Run, RunState, Task
from dwserver.engine.outcome import Rejection
from dwserver.engine.transition import RunChange
from dwserver.engine.words import EventType
from dwserver.matching.pollers import Delivery, Poller
from dwserver.runtime.clock import ManualClock
from dwserver.runtime.ids import SequentialIds
from dwserver.runtime.supervisor import Supervisor
from dwserver.services.hot_runs import HotRuns
from dwserver.services.runs import Runs
from dwserver.store.api import Store
from tests.support.builders import NOON
from tests.support.faulty_store import FaultyStore
from tests.support.small_server import a_start_request

REFUSED = Rejection("task_not_leased", "No.")


@dataclass
class HandOffs:
    """Reserves the prepared pollers, and notes what it is told."""

    pollers: list[Poller] = field(default_factory=list)
    delivered: list[tuple[Poller, Delivery]] = field(default_factory=list)
    returned: list[Poller] = field(default_factory=list)
    ready: list[Task] = field(default_factory=list)

    def reserve(self, task: Task) -> Poller | None:
        return self.pollers.pop(0) if self.pollers else None

    def deliver(self, poller: Poller, delivery: Delivery) -> None:
        self.delivered.append((poller, delivery))

    def put_back(self, poller: Poller) -> None:
        self.returned.append(poller)
        self.pollers.insert(0, poller)

    def became_ready(self, task: Task) -> None:
        self.ready.append(task)


@dataclass
class Commits:
    """The observer of commits."""

    changes: list[RunChange] = field(default_factory=list)
    conflicts: int = 0

    def committed(self, change: RunChange) -> None:
        self.changes.append(change)

    def conflicted(self) -> None:
        self.conflicts += 1


class RunRoom:
    """One process. ``first_id``: ids of two rooms on one store must be far apart."""

    def __init__(
        self, store: Store, *, first_id: int = 1, policy: Policy | None = None
    ) -> None:
        self.faults = FaultyStore(store)
        self.clock = ManualClock(NOON)
        self.hand_offs = HandOffs()
        self.commits = Commits()
        self.supervisor = Supervisor()
        self.hot = HotRuns(max_runs=100, max_bytes=10_000_000)
        self.runs = Runs(
            self.faults.store,
            hot=self.hot,
            hand_off=self.hand_offs,
            now=self.clock.now,
            next_id=SequentialIds(first_id).next,
            policy=policy or Policy(),
            spawn=self.supervisor.spawn,
            observers=[self.commits],
        )

    async def started(self, workflow_id: str = "order-1") -> Run:
        draft = await self.runs.create(
            lambda context: start_new(a_start_request(workflow_id), context)
        )
        assert draft is not None
        return draft.run

    async def state(self, run_id: str) -> RunState:
        """The run as the database has it."""
        state = await self.faults.real.load_run(run_id)
        assert state is not None
        return state

    async def steps_of(self, run_id: str) -> list[str]:
        """What :func:`noting` decisions wrote, in order."""
        events = await self.faults.real.history(run_id, after=2, upto=None, limit=1000)
        return [event.payload.decode() for event in events]

    def ask(
        self, run_id: str, *decisions: Callable[[Draft], object]
    ) -> list[asyncio.Task[object]]:
        """Callers that decide at the same time, in this order."""
        return [
            asyncio.create_task(self.runs.decide(run_id, decision))
            for decision in decisions
        ]


def noting(text: str) -> Callable[[Draft], str]:
    """A decision that writes one event and answers with its text."""

    def decide(draft: Draft) -> str:
        draft.append(EventType.TIMER_SCHEDULED, {"note": text})
        return text

    return decide


def note(text: str) -> str:
    """How :func:`noting` stands in history."""
    return f'{{"note":"{text}"}}'


def refusing(draft: Draft) -> Rejection:
    return REFUSED


def failing(draft: Draft) -> object:
    raise ValueError("a bug in a decision")

"""The pass of a leader: when it acts, how it goes on, what it tells."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from typing import Any

import pytest
from structlog.testing import capture_logs

from dwserver.engine.schedules.changes import Commands, NewSchedule
from dwserver.loops.schedules import LISTED, ScheduleTick
from dwserver.services.leadership import Leadership
from dwserver.store.opening import open_store
from tests.support.small_server import NAMESPACE, SmallServer, small_server

BATCH = 5


@dataclass
class Observed:
    outcomes: list[str] = field(default_factory=list)
    lags: list[float] = field(default_factory=list)

    def fired(self, outcome: str) -> None:
        self.outcomes.append(outcome)

    def fired_late(self, seconds: float) -> None:
        self.lags.append(seconds)

    def leads(self, name: str, term: int) -> None:
        """Not looked at here."""


@dataclass(frozen=True)
class Room:
    node: SmallServer
    leadership: Leadership
    observed: Observed

    def tick(self, *, batch_size: int = BATCH) -> ScheduleTick:
        return ScheduleTick(
            self.node.services.schedules,
            self.leadership,
            observer=self.observed,
            batch_size=batch_size,
        )

    async def create(self, name: str, **fields: Any) -> None:
        values = {
            "spec": {"intervals": [{"every": "PT1H"}]},
            "action": {"workflow_type": "orders.Ship"},
            **fields,
        }
        new = NewSchedule(namespace=NAMESPACE, schedule_id=name, **values)
        await self.node.services.schedules.create(new, Commands({}, {}))


@pytest.fixture
async def room(sqlite_url: str) -> AsyncIterator[Room]:
    store = open_store(sqlite_url)
    await store.open()
    async with small_server(store) as node:
        observed = Observed()
        leadership = Leadership(
            store,
            name="scheduler",
            holder="n",
            lease_seconds=60,
            monotonic=lambda: 0.0,
            observer=observed,
        )
        yield Room(node, leadership, observed)
    await store.close()


async def test_a_follower_fires_nothing(room: Room) -> None:
    await room.create("hourly")
    room.node.clock.advance(seconds=3600)
    assert await room.tick().fire_due() is None
    assert room.observed.outcomes == []
    await room.leadership.look()
    await room.tick().fire_due()
    assert room.observed.outcomes == ["triggered"]
    await room.leadership.resign()
    room.node.clock.advance(seconds=3600)
    await room.tick().fire_due()
    assert room.observed.outcomes == ["triggered"]


async def test_a_full_batch_is_followed_at_once(room: Room) -> None:
    await room.leadership.look()
    for n in range(2 * BATCH + 1):
        await room.create(f"s-{n}")
    room.node.clock.advance(seconds=3602.5)
    tick = room.tick()
    assert [await tick.fire_due() for _ in range(3)] == [0.0, 0.0, None]
    assert room.observed.outcomes == ["triggered"] * (2 * BATCH + 1)
    assert room.observed.lags == [2.5] * (2 * BATCH + 1)


async def test_failures_are_told_with_their_schedules(room: Room) -> None:
    await room.leadership.look()
    broken = {"workflow_type": "t", "input": {"codec": "zip", "blob": "x"}}
    for n in range(LISTED + 3):
        await room.create(f"s-{n}", action=broken)
    room.node.clock.advance(seconds=3600)
    with capture_logs() as logs:
        await room.tick(batch_size=100).fire_due()
    *lines, more = logs
    assert {line["event"] for line in lines} == {"schedule_fire_failed"}
    assert len({line["schedule_id"] for line in lines}) == LISTED
    assert all(line["reason"] for line in lines)
    assert (more["event"], more["count"]) == ("more_schedule_fires_failed", 3)
    assert room.observed.outcomes == ["failed"] * (LISTED + 3)

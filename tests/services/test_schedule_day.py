"""A day of many schedules on a clock that is moved, against an independent model:
fires, pauses, backfills, failures, a scheduler that is away, one that takes over."""

from __future__ import annotations

import random
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import pytest

from dwserver.engine.lifecycle.close import CloseRequest
from dwserver.engine.model.schedules import OverlapPolicy, ScheduleStatus
from dwserver.engine.schedules.changes import Commands, NewSchedule
from dwserver.engine.transition import TermGuard
from dwserver.engine.words import CommandType
from dwserver.services.command_targets import Target
from dwserver.store.api import Store
from tests.services.schedule_model import RULES, Model
from tests.services.test_schedules import lead
from tests.support.builders import NOON, SECOND
from tests.support.small_server import NAMESPACE, WORKFLOW, SmallServer

POLICIES = tuple(OverlapPolicy)
DAY = 24 * 3600
# Days on which clocks are changed: forward and back, north and south, by an hour and by
# half of one; and one on which they are not.
DAYS = (
    "2026-05-02T12:00:00+00:00",
    "2026-10-03T06:00:00+00:00",
    "2026-10-24T14:00:00+00:00",
    "2026-10-31T20:00:00+00:00",
    "2027-03-13T20:00:00+00:00",
    "2027-03-27T14:00:00+00:00",
    "2027-04-03T06:00:00+00:00",
)
LIMIT = 500
ACTION = {"workflow_type": WORKFLOW}
UNSTARTABLE = {"workflow_type": WORKFLOW, "input": {"codec": "zip", "blob": "x"}}


@dataclass
class Day:
    """Two schedulers on one database, and the models of their schedules."""

    nodes: tuple[SmallServer, SmallServer]
    dice: random.Random
    models: dict[str, Model]
    term: TermGuard

    @property
    def node(self) -> SmallServer:
        return self.nodes[0]

    @property
    def now(self) -> int:
        return self.node.clock.now() // SECOND

    async def create(self, name: str, number: int) -> None:
        rule = RULES[number % len(RULES)]
        policy = POLICIES[number % len(POLICIES)]
        can_start = number % 11 != 10
        jitter = self.dice.choice([0, 0, 90])
        max_runs = self.dice.choice([None, None, None, 5, 40])
        new = NewSchedule(
            namespace=NAMESPACE,
            schedule_id=name,
            spec=rule.spec,
            action=ACTION if can_start else UNSTARTABLE,
            overlap_policy=policy,
            jitter_seconds=jitter,
            max_runs=max_runs,
        )
        made = await self.node.services.schedules.create(new, Commands({}, {}))
        assert made is not None
        self.models[name] = Model(
            name,
            rule,
            policy,
            self.now,
            max_runs=max_runs,
            can_start=can_start,
            jitter=jitter,
        )
        await self.hear_plan(name)

    async def hear_plan(self, name: str) -> None:
        """How far an occurrence is put off is the server's to say."""
        model = self.models[name]
        if model.is_to_be_told:
            schedule = await self.node.services.schedules.find(NAMESPACE, name)
            assert schedule is not None
            assert schedule.next_fire_at is not None
            model.planned(schedule.next_fire_at // SECOND)

    async def step(self) -> None:
        """Time passes; whoever leads looks; operators and workflows do something."""
        seconds = self.dice.choice([1, 20, 40, 60, 61, 90, 300])
        if self.dice.random() < 0.005:
            # Nobody fires for a while.
            seconds = 2 * 3600
        for node in self.nodes:
            node.clock.advance(seconds=seconds)
        if self.dice.random() < 0.05:
            old, self.nodes = self.nodes[0], self.nodes[::-1]
            stale, self.term = self.term, await lead(self.node)
            await old.services.schedules.fire_due(stale, limit=LIMIT)
        await self.node.services.schedules.fire_due(self.term, limit=LIMIT)
        for name, model in self.models.items():
            model.tick(self.now)
            # A drained one was planned anew, for later than now.
            if not model.is_to_be_told:
                model.tick_due(self.now)
            await self.hear_plan(name)
        for _ in range(self.dice.randrange(4)):
            name = self.dice.choice(list(self.models))
            does = (self.close, self.close, self.turn, self.fill, self.ask)
            await self.dice.choice(does)(name)
            await self.hear_plan(name)

    async def close(self, name: str) -> None:
        """One of its workflows ends."""
        model = self.models[name]
        if not model.open_runs:
            return
        workflow_id = self.dice.choice(model.open_runs)
        commands = self.node.services.commands
        target = await commands.find_target(NAMESPACE, workflow_id, None)
        assert isinstance(target, Target)
        request = CloseRequest(namespace=NAMESPACE, command_type=CommandType.TERMINATE)
        await commands.close(target, request)
        model.open_runs.remove(workflow_id)

    async def turn(self, name: str) -> None:
        """An operator pauses it, or lets it go on."""
        schedules, model = self.node.services.schedules, self.models[name]
        schedule = await schedules.find(NAMESPACE, name)
        assert (schedule is None) is model.is_deleted
        if schedule is None:
            return
        if model.is_active and self.dice.random() < 0.3:
            await schedules.pause(schedule, note=None, command={})
            model.pause()
        else:
            await schedules.resume(schedule, note=None, command={})
            model.resume(self.now)

    async def fill(self, name: str) -> None:
        if self.dice.random() < 0.8:
            return
        schedules, model = self.node.services.schedules, self.models[name]
        schedule = await schedules.find(NAMESPACE, name)
        if schedule is None:
            return
        start = self.now - self.dice.randrange(2 * 3600)
        end = start + self.dice.randrange(1, 3600)
        policy = self.dice.choice((None, *POLICIES))
        await schedules.backfill(
            schedule,
            (start * SECOND, end * SECOND),
            policy=policy,
            command={},
        )
        model.backfill(start, end, policy=policy, now=self.now)

    async def ask(self, name: str) -> None:
        """An operator asks for a fire now."""
        if self.dice.random() < 0.8:
            return
        schedules = self.node.services.schedules
        schedule = await schedules.find(NAMESPACE, name)
        if schedule is None:
            return
        policy = self.dice.choice((None, *POLICIES))
        await schedules.trigger(schedule, policy=policy, command={})
        self.models[name].trigger(policy, self.now)

    async def differences(self) -> list[str]:
        found = []
        for name, model in self.models.items():
            schedule = await self.node.services.schedules.find(
                NAMESPACE, name, with_deleted=True
            )
            assert schedule is not None
            ours: dict[str, Any] = {
                "deleted": schedule.is_deleted,
                "active": schedule.status is not ScheduleStatus.PAUSED,
                "plan": schedule.next_fire_at and schedule.next_fire_at // SECOND,
                "latest": schedule.latest_workflow_id,
                "buffered": len(schedule.buffered_actions),
                "fires": schedule.fires_count,
                "skips": schedule.skipped_trigger_count,
                "failures": schedule.failures_count,
            }
            theirs = {
                "deleted": model.is_deleted,
                "active": model.is_active,
                "plan": model.plan,
                "latest": model.latest,
                "buffered": len(model.buffered),
                "fires": len(model.fires),
                "skips": model.skips,
                "failures": model.failures,
            }
            if ours != theirs:
                found.append(f"{name} {model.policy}: {ours} instead of {theirs}")
        return found

    async def workflow_ids(self) -> dict[str, set[str]]:
        """What each schedule has started, by its audit history."""
        started: dict[str, set[str]] = {}
        for name in self.models:
            schedule = await self.node.services.schedules.find(
                NAMESPACE, name, with_deleted=True
            )
            assert schedule is not None
            events, has_more = await self.node.services.schedules.history(
                schedule, after=0, limit=10_000
            )
            assert not has_more
            assert [e.sequence for e in events] == list(range(1, len(events) + 1))
            ids = [e.workflow_id for e in events if e.workflow_id is not None]
            assert len(ids) == len(set(ids))
            started[name] = set(ids)
        return started


@pytest.mark.full
@pytest.mark.timeout(600)
@pytest.mark.parametrize("began", DAYS)
async def test_a_day_goes_as_the_model_says(
    node: SmallServer, second_node: SmallServer, any_store: Store, began: str
) -> None:
    seed = DAYS.index(began)
    seconds = round(datetime.fromisoformat(began).timestamp()) - NOON // SECOND
    for each in (node, second_node):
        each.clock.advance(seconds=seconds)
    day = Day((node, second_node), random.Random(seed), {}, await lead(node))
    for number in range(5 * len(RULES)):
        await day.create(f"s-{number}", number)
    end = day.now + DAY
    while day.now < end:
        await day.step()
    assert await day.differences() == []
    started = await day.workflow_ids()
    assert started == {name: set(m.fires) for name, m in day.models.items()}
    for ids in started.values():
        for workflow_id in ids:
            assert await any_store.find_instance(NAMESPACE, workflow_id) is not None
    assert sum(map(len, started.values())) > 150
    assert sum(model.failures for model in day.models.values()) > 5

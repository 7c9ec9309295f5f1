"""Fires on a real store: one transition each, converging, guarded by the term."""

from __future__ import annotations

import asyncio
from collections import Counter
from typing import Any

import pytest

from dwserver.engine.lifecycle.close import CloseRequest
from dwserver.engine.model.schedules import OverlapPolicy, Schedule
from dwserver.engine.schedules.changes import Commands, NewSchedule
from dwserver.engine.transition import TermGuard
from dwserver.engine.words import CommandType
from dwserver.services import schedules
from dwserver.services.command_targets import Target
from dwserver.services.schedules import Fired, FireOutcome
from dwserver.store.api import StoreUnavailable
from dwserver.store.leadership import LeaderLease
from dwserver.store.schedules import ScheduleCursor, ScheduleFilter
from tests.support.builders import NOON, SECOND
from tests.support.small_server import (
    ARGUMENTS,
    NAMESPACE,
    QUEUE,
    WORKFLOW,
    SmallServer,
    a_poll,
)

HOUR = 3600
LIMIT = 100
LEADERSHIP = "scheduler"


async def lead(node: SmallServer) -> TermGuard:
    """Take the leadership over, from whoever has it."""
    store = node.faults.real
    held = await store.find_leader(LEADERSHIP)
    if held is not None:
        await store.release_leadership(held)
    lease = await store.acquire_leadership(LEADERSHIP, "n", duration=HOUR * SECOND)
    assert isinstance(lease, LeaderLease)
    return TermGuard(LEADERSHIP, lease.term)


async def create(node: SmallServer, schedule_id: str = "hourly", **fields: Any) -> None:
    values: dict[str, Any] = {
        "namespace": NAMESPACE,
        "schedule_id": schedule_id,
        "spec": {"intervals": [{"every": "PT1H"}]},
        "action": {"workflow_type": WORKFLOW, "task_queue": QUEUE, "input": [1]},
        **fields,
    }
    made = await node.services.schedules.create(
        NewSchedule(**values), Commands({"c": 1}, {"p": 1})
    )
    assert made is not None


async def found(node: SmallServer, schedule_id: str = "hourly") -> Schedule:
    schedule = await node.services.schedules.find(NAMESPACE, schedule_id)
    assert schedule is not None
    return schedule


async def fire_due(node: SmallServer, term: TermGuard) -> list[Fired]:
    return await node.services.schedules.fire_due(term, limit=LIMIT)


async def close_latest(node: SmallServer, schedule_id: str = "hourly") -> None:
    schedule = await found(node, schedule_id)
    assert schedule.latest_workflow_id is not None
    target = await node.services.commands.find_target(
        NAMESPACE, schedule.latest_workflow_id, None
    )
    assert isinstance(target, Target)
    request = CloseRequest(namespace=NAMESPACE, command_type=CommandType.TERMINATE)
    await node.services.commands.close(target, request)


async def test_nothing_fires_before_its_time(node: SmallServer) -> None:
    term = await lead(node)
    await create(node)
    node.clock.advance(seconds=HOUR - 1)
    assert await fire_due(node, term) == []
    node.clock.advance(seconds=1)
    [fired] = await fire_due(node, term)
    assert fired.outcome is FireOutcome.TRIGGERED
    assert await fire_due(node, term) == []


async def test_a_fire_starts_a_run_that_a_poll_gets(node: SmallServer) -> None:
    term = await lead(node)
    await create(node, action={"workflow_type": WORKFLOW, "task_queue": QUEUE})
    poll = asyncio.create_task(node.poll(a_poll(wait_seconds=30)))
    await asyncio.sleep(0)
    node.clock.advance(seconds=HOUR)
    [fired] = await fire_due(node, term)
    delivery = await poll
    assert delivery is not None
    run = delivery.leased.run
    assert (run.id, run.workflow_id) == (fired.run_id, fired.workflow_id)
    assert run.workflow_id == f"schedule:hourly:{(NOON // SECOND) + HOUR}"
    assert await node.event_types(run.id) == [
        "StartAccepted",
        "WorkflowStarted",
        "ScheduleTriggered",
    ]


async def test_two_nodes_that_both_fire_start_one_run(
    node: SmallServer, second_node: SmallServer
) -> None:
    """Even a violated lease is harmless: the version of the row decides."""
    term = await lead(node)
    for n in range(20):
        await create(node, f"s-{n}")
    for each in (node, second_node):
        each.clock.advance(seconds=HOUR)
    passes = await asyncio.gather(
        *(fire_due(each, term) for each in (node, second_node, node, second_node))
    )
    outcomes = Counter(fired.outcome for each in passes for fired in each)
    assert outcomes == {FireOutcome.TRIGGERED: 20}
    for n in range(20):
        assert (await found(node, f"s-{n}")).fires_count == 1


async def test_a_leader_that_was_overtaken_fires_nothing(
    node: SmallServer, second_node: SmallServer
) -> None:
    await create(node)
    old = await lead(node)
    new = await lead(second_node)
    for each in (node, second_node):
        each.clock.advance(seconds=HOUR)
    assert await fire_due(node, old) == []
    schedule = await found(node)
    assert (schedule.fires_count, schedule.next_fire_at) == (
        0,
        NOON + HOUR * SECOND,
    )
    assert len(await fire_due(second_node, new)) == 1


async def test_after_a_pause_of_all_each_schedule_fires_once(node: SmallServer) -> None:
    term = await lead(node)
    await create(node, overlap_policy=OverlapPolicy.ALLOW_ALL)
    node.clock.advance(seconds=5 * HOUR + 60)
    store = node.faults.real
    now = node.clock.now()
    summary = await store.summarise_schedules(NAMESPACE, now=now)
    assert (summary.missed, summary.oldest_overdue_at) == (1, NOON + HOUR * SECOND)
    [fired] = await fire_due(node, term)
    # The occurrence that was missed names the run; the plan goes on from now.
    assert fired.workflow_id == f"schedule:hourly:{(NOON // SECOND) + HOUR}"
    assert fired.schedule.next_fire_at == NOON + 6 * HOUR * SECOND
    assert await fire_due(node, term) == []
    assert (await store.summarise_schedules(NAMESPACE, now=now)).missed == 0


async def test_a_buffer_is_drained_one_at_a_time(node: SmallServer) -> None:
    term = await lead(node)
    await create(node, overlap_policy=OverlapPolicy.BUFFER_ALL)
    outcomes: list[str] = []
    for _ in range(3):
        node.clock.advance(seconds=HOUR)
        outcomes += [fired.outcome for fired in await fire_due(node, term)]
    assert outcomes == ["triggered", "buffered", "buffered"]
    assert await fire_due(node, term) == []
    for hour in (2, 3):
        await close_latest(node)
        [drained] = await fire_due(node, term)
        assert drained.outcome is FireOutcome.DRAINED
        assert drained.workflow_id == f"schedule:hourly:{NOON // SECOND + hour * HOUR}"
    schedule = await found(node)
    assert (schedule.fires_count, schedule.buffered_actions) == (3, ())
    assert [action["outcome"] for action in schedule.recent_actions] == [
        "scheduled",
        "drained",
        "drained",
    ]


async def test_an_occurrence_whose_run_exists_is_not_fired_again(
    node: SmallServer,
) -> None:
    """The schedule was made anew, or its row was lost."""
    term = await lead(node)
    taken = f"schedule:hourly:{NOON // SECOND + HOUR}"
    started = await node.start(taken)
    await create(node)
    node.clock.advance(seconds=HOUR)
    [fired] = await fire_due(node, term)
    assert fired.outcome is FireOutcome.ALREADY_FIRED
    assert (fired.workflow_id, fired.run_id) == (taken, started.run.id)
    schedule = await found(node)
    assert (schedule.fires_count, schedule.next_fire_at) == (
        0,
        NOON + 2 * HOUR * SECOND,
    )


async def test_a_foreign_workflow_under_the_name_is_a_failure(
    node: SmallServer,
) -> None:
    term = await lead(node)
    await node.start(f"schedule:hourly:{NOON // SECOND + HOUR}", workflow_type="other")
    await create(node)
    node.clock.advance(seconds=HOUR)
    [failed] = await fire_due(node, term)
    assert failed.outcome is FireOutcome.FAILED
    schedule = await found(node)
    assert (schedule.failures_count, schedule.fires_count) == (1, 0)
    assert schedule.recent_actions[-1]["outcome"] == "failed"
    node.clock.advance(seconds=HOUR)
    assert [f.outcome for f in await fire_due(node, term)] == ["triggered"]


async def test_one_that_cannot_start_does_not_hold_up_the_others(
    node: SmallServer,
) -> None:
    term = await lead(node)
    for n in range(3):
        await create(node, f"good-{n}")
    broken = {"workflow_type": WORKFLOW, "input": {"codec": "zip", "blob": "x"}}
    await create(node, "broken", action=broken)
    node.clock.advance(seconds=HOUR)
    outcomes = Counter(fired.outcome for fired in await fire_due(node, term))
    assert outcomes == {FireOutcome.TRIGGERED: 3, FireOutcome.FAILED: 1}


async def test_without_a_database_schedules_stay_overdue(
    node: SmallServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    term = await lead(node)
    await create(node)
    node.clock.advance(seconds=HOUR)
    real = node.faults.real

    async def gone(transition: object) -> bool:
        raise StoreUnavailable("gone")

    with monkeypatch.context() as patched:
        patched.setattr(real, "commit", gone)
        with pytest.raises(StoreUnavailable):
            await fire_due(node, term)
    assert (await found(node)).failures_count == 0
    assert [f.outcome for f in await fire_due(node, term)] == ["triggered"]


async def test_triggers_at_once_are_all_counted(node: SmallServer) -> None:
    await create(node, overlap_policy=OverlapPolicy.ALLOW_ALL)
    schedule = await found(node)
    fired = await asyncio.gather(
        *(
            node.services.schedules.trigger(schedule, policy=None, command={"t": n})
            for n in range(6)
        )
    )
    workflow_ids = {each.workflow_id for each in fired if each is not None}
    # All within one millisecond of a clock that stands still.
    assert len(workflow_ids) == 6
    assert (await found(node)).fires_count == 6


async def test_of_triggers_at_once_one_is_not_skipped(node: SmallServer) -> None:
    await create(node)
    schedule = await found(node)
    fired = await asyncio.gather(
        *(
            node.services.schedules.trigger(schedule, policy=None, command={"t": n})
            for n in range(5)
        )
    )
    outcomes = Counter(each.outcome for each in fired if each is not None)
    assert outcomes == {FireOutcome.TRIGGERED: 1, FireOutcome.SKIPPED: 4}


@pytest.mark.parametrize(
    ("policy", "status"),
    [
        (OverlapPolicy.CANCEL_OTHER, "cancelled"),
        (OverlapPolicy.TERMINATE_OTHER, "terminated"),
    ],
)
async def test_policies_close_the_run_before(
    node: SmallServer, policy: OverlapPolicy, status: str
) -> None:
    term = await lead(node)
    await create(node, overlap_policy=policy)
    fired: list[Fired] = []
    for _ in range(2):
        node.clock.advance(seconds=HOUR)
        fired += await fire_due(node, term)
    first, second = fired
    assert first.run_id is not None
    assert second.run_id is not None
    assert (await node.state(first.run_id)).run.status == status
    assert (await node.state(second.run_id)).run.status == "pending"


@pytest.mark.parametrize(
    "policy", [OverlapPolicy.CANCEL_OTHER, OverlapPolicy.TERMINATE_OTHER]
)
async def test_a_leader_that_was_overtaken_closes_nothing(
    node: SmallServer, policy: OverlapPolicy
) -> None:
    old = await lead(node)
    await create(node, overlap_policy=policy)
    node.clock.advance(seconds=HOUR)
    [first] = await fire_due(node, old)
    new = await lead(node)
    node.clock.advance(seconds=HOUR)
    assert await fire_due(node, old) == []
    assert first.run_id is not None
    assert (await node.state(first.run_id)).run.status == "pending"
    [second] = await fire_due(node, new)
    assert second.outcome is FireOutcome.TRIGGERED
    assert (await node.state(first.run_id)).run.status.is_terminal


async def test_a_continued_workflow_counts_as_open(node: SmallServer) -> None:
    """The overlap looks at the current run of the latest workflow."""
    term = await lead(node)
    await create(node)
    node.clock.advance(seconds=HOUR)
    await fire_due(node, term)
    await close_latest(node)
    node.clock.advance(seconds=HOUR)
    assert [f.outcome for f in await fire_due(node, term)] == ["triggered"]
    node.clock.advance(seconds=HOUR)
    assert [f.outcome for f in await fire_due(node, term)] == ["skipped"]


async def test_what_an_action_asks_for_reaches_the_run(node: SmallServer) -> None:
    await create(
        node,
        action={
            "workflow_type": WORKFLOW,
            "input": {"codec": ARGUMENTS.codec, "blob": "AAI3Ag=="},
            "execution_timeout_seconds": 90,
            "run_timeout_seconds": 60,
        },
        memo={"owner": "billing"},
        search_attributes={"Region": "eu"},
    )
    fired = await node.services.schedules.trigger(
        await found(node), policy=None, command={"server": {"command": "x"}}
    )
    assert fired is not None
    assert fired.run_id is not None
    run = (await node.state(fired.run_id)).run
    assert (run.task_queue, run.workflow_type) == ("default", WORKFLOW)
    assert (run.execution_timeout_seconds, run.run_timeout_seconds) == (90, 60)
    given = await node.faults.real.run_input(run.id)
    assert given.memo == {"owner": "billing"}
    assert given.search_attributes == {"Region": "eu"}
    assert given.arguments is not None
    assert (given.arguments.codec, given.arguments.data) == ("avro", "AAI3Ag==")


async def test_a_list_is_a_page_and_says_whether_more_follows(
    node: SmallServer,
) -> None:
    for n in range(3):
        await create(node, f"s-{n}")
    page, position = await node.services.schedules.find_page(
        ScheduleFilter(NAMESPACE), after=None, limit=2
    )
    assert len(page) == 2
    assert position == ScheduleCursor(page[1].created_at, page[1].id)
    rest, end = await node.services.schedules.find_page(
        ScheduleFilter(NAMESPACE), after=position, limit=2
    )
    assert (len(rest), end) == (1, None)


@pytest.mark.parametrize("read_at_once", [2, 3, 4, 100])
async def test_a_list_of_what_is_wanted_is_paged_as_well(
    node: SmallServer, monkeypatch: pytest.MonkeyPatch, read_at_once: int
) -> None:
    monkeypatch.setattr(schedules, "READ_AT_ONCE", read_at_once)
    monkeypatch.setattr(schedules, "MAX_READ", 2 * read_at_once)
    for n in range(9):
        await create(node, f"s-{n}")
    wanted = {"s-7", "s-4", "s-2", "s-1"}
    seen: list[str] = []
    position: ScheduleCursor | None = None
    for _ in range(9):
        page, position = await node.services.schedules.find_page(
            ScheduleFilter(NAMESPACE),
            after=position,
            limit=2,
            accepts=lambda schedule: schedule.schedule_id in wanted,
        )
        assert len(page) <= 2
        seen += [schedule.schedule_id for schedule in page]
        if position is None:
            break
    assert position is None
    assert seen == ["s-7", "s-4", "s-2", "s-1"]


async def test_a_backfill_that_is_repeated_ends_nothing(node: SmallServer) -> None:
    await create(node)
    end = node.clock.now()
    window = (end - 2 * HOUR * SECOND, end)
    outcomes = []
    for _ in range(2):
        done = await node.services.schedules.backfill(
            await found(node), window, policy=OverlapPolicy.TERMINATE_OTHER, command={}
        )
        outcomes += [each.fired.outcome for each in done]
    assert outcomes == [FireOutcome.TRIGGERED] * 2 + [FireOutcome.ALREADY_FIRED] * 2
    schedule = await found(node)
    assert schedule.fires_count == 2
    run_id = done[-1].fired.run_id
    assert run_id is not None
    assert (await node.state(run_id)).run.status == "pending"

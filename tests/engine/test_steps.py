"""Batches of steps: the barrier, and the order of outcomes in history."""

from __future__ import annotations

from itertools import permutations

import pytest

from dwserver.engine.commands.terminal import CompleteWorkflow, ContinueAsNew
from dwserver.engine.context import Policy
from dwserver.engine.lifecycle.timer_due import fire
from dwserver.engine.words import RunStatus
from tests.engine.builders import (
    Play,
    after_commands,
    begun,
)
from tests.engine.parts import (
    activity,
    at,
    group,
    signal,
    timer,
)

OUTCOMES = (
    "ActivityCompleted",
    "ActivityFailed",
    "ActivityCancelled",
    "TimerFired",
    "TimerCancelled",
)


def test_two_activities_in_reverse_order() -> None:
    """The worked example (k) of spec/engine.md §15, with dense step numbers."""
    play, t1 = begun()
    a1, b1 = play.completed(t1, activity("a"), activity("b")).created_task_ids
    first, second = play.poll_activity("a"), play.poll_activity("b")
    assert (first.task.id, second.task.id) == (a1, b1)
    assert play.event_types()[2:] == [
        "ActivityScheduled",
        "ActivityScheduled",
        "ActivityStarted",
        "ActivityStarted",
    ]
    play.advance(1)
    assert play.succeed(second, "BB==") is None
    assert len(play.history()) == 6
    assert play.held() == [2]

    play.advance(1)
    t2_id = play.succeed(first, "AA==")
    t2 = play.poll()
    assert t2.id == t2_id
    assert t2.resume["workflow_event_type"] == "ActivityCompleted"
    assert play.held() == []
    outcomes = play.history()[6:]
    assert [
        (event_type, payload["sequence"], payload["activity_type"], payload["result"])
        for event_type, payload in outcomes
    ] == [("ActivityCompleted", 1, "a", "AA=="), ("ActivityCompleted", 2, "b", "BB==")]
    # The held outcome tells when it really happened.
    assert outcomes[1][1]["activity"]["closed_at"] == at(1)
    end = play.completed(t2, CompleteWorkflow())
    assert end.run_status is RunStatus.COMPLETED
    assert play.event_types()[-1] == "WorkflowCompleted"


def close_step(play: Play, step: int, *, fails: bool = False) -> None:
    if step in play.here.timers:
        assert play.fire(step)
        return
    kind = play.here.activities[step].activity_type
    held = play.poll_activity(kind)
    if fails:
        play.fail(held)
    else:
        play.succeed(held)


@pytest.mark.parametrize("order", list(permutations((1, 2, 3))))
@pytest.mark.parametrize("fails", [False, True])
def test_outcomes_stand_in_member_order_whatever_happened_first(
    order: tuple[int, ...], fails: bool
) -> None:
    play, _ = after_commands(activity("x1"), activity("x2"), activity("x3"))
    closed: set[int] = set()
    for step in order:
        assert play.workflow_tasks == []
        close_step(play, step, fails=fails and step == 2)
        closed.add(step)
        prefix = [s for s in (1, 2, 3) if set(range(1, s + 1)) <= closed]
        assert play.steps_of(*OUTCOMES) == prefix
        assert play.held() == sorted(closed - set(prefix))
    assert play.workflow_task.resume["workflow_wait_kind"] == "activity"
    assert play.run.batch_resolved_sequence == play.run.last_sequence


@pytest.mark.parametrize("order", list(permutations((1, 2, 3, 4))))
def test_a_mixed_batch(order: tuple[int, ...]) -> None:
    play, _ = after_commands(timer(0), activity("x"), timer(0), activity("y"))
    for step in order:
        close_step(play, step)
    assert play.steps_of(*OUTCOMES) == [1, 2, 3, 4]
    assert len(play.workflow_tasks) == 1


@pytest.mark.parametrize("order", list(permutations((1, 2, 3))))
def test_members_with_metadata_need_no_order(order: tuple[int, ...]) -> None:
    play, _ = after_commands(
        *(activity(f"x{i}", parallel=group(base=1, size=3, index=i)) for i in range(3))
    )
    for position, step in enumerate(order, start=1):
        assert play.workflow_tasks == []
        close_step(play, step)
        assert play.steps_of(*OUTCOMES) == list(order[:position])
        assert play.held() == []
    assert len(play.workflow_tasks) == 1


@pytest.mark.parametrize("order", list(permutations((1, 2, 3))))
def test_a_member_with_metadata_between_two_without(order: tuple[int, ...]) -> None:
    """Those without stay in order among each other."""
    play, _ = after_commands(
        activity("x1"),
        activity("x2", parallel=group(base=2, size=1, index=0)),
        activity("x3"),
    )
    for step in order:
        close_step(play, step)
    outcomes = play.steps_of(*OUTCOMES)
    assert sorted(outcomes) == [1, 2, 3]
    assert outcomes.index(1) < outcomes.index(3)
    assert play.held() == []
    assert len(play.workflow_tasks) == 1


def test_a_failure_does_not_break_the_barrier() -> None:
    play, _ = after_commands(activity("a"), activity("b"))
    assert play.fail(play.poll_activity("a")) is None
    assert play.workflow_tasks == []
    assert play.run_activity("b") == play.workflow_task.id


def test_a_failed_member_of_a_group_may_wake_before_the_others() -> None:
    """DW_PARALLEL_FAIL_FAST; members without metadata are taken in order."""
    play, task = begun(Policy(wakes_at_first_failure=True))
    members = [
        activity(f"x{i}", parallel=group(base=1, size=3, index=i)) for i in (0, 1)
    ]
    play.completed(task, *members, activity("x2"))
    play.run_activity("x0")
    assert play.workflow_tasks == []
    woken = play.fail(play.poll_activity("x1"))
    assert woken == play.workflow_task.id
    play.completed(play.poll(), *members, activity("x2"))
    assert play.run.last_step == 3
    assert play.run_activity("x2") == play.workflow_task.id


def test_a_failure_without_metadata_never_wakes_early() -> None:
    play, task = begun(Policy(wakes_at_first_failure=True))
    play.completed(task, activity("a"), activity("b"))
    assert play.fail(play.poll_activity("a")) is None
    assert play.workflow_tasks == []


def test_a_retry_keeps_the_barrier_closed() -> None:
    play, _ = after_commands(activity("a", max_attempts=2), activity("b"))
    play.run_activity("b")
    play.fail(play.poll_activity("a"))
    assert (play.held(), play.workflow_tasks) == ([2], [])
    play.run_activity("a")
    assert play.steps_of(*OUTCOMES) == [1, 2]
    assert len(play.workflow_tasks) == 1


def test_a_single_step_wakes_at_once() -> None:
    play, _ = after_commands(activity("a"))
    assert play.run_activity("a") == play.workflow_task.id


def test_a_batch_that_closes_in_one_transition() -> None:
    """Outcomes that wait for the same run are decided on one draft."""
    play, _ = after_commands(timer(0), timer(0), timer(0))
    draft = play.draft()
    for step in (3, 2, 1):
        assert fire(draft, step)
    change = play.commit(draft)
    assert change.released == ()
    assert play.steps_of(*OUTCOMES) == [1, 2, 3]
    assert play.held() == []
    assert len(play.workflow_tasks) == 1


def test_held_outcomes_keep_their_event_and_get_their_place_later() -> None:
    play, _ = after_commands(activity("a"), timer(0))
    play.fire(2)
    held = play.here.events[-2]
    play.run_activity("a")
    placed = play.here.events[play.run.last_sequence]
    assert (placed.id, placed.payload) == (held.id, held.payload)


def test_a_run_that_closes_first_never_shows_what_was_held() -> None:
    play, _ = after_commands(activity("a"), activity("b"), timer(9))
    play.run_activity("b")
    assert play.held() == [2]
    first_run = play.run_id
    play.wake(signal("go"))
    play.completed(play.poll(), ContinueAsNew())
    play.run_id = first_run
    assert play.steps_of(*OUTCOMES) == [1, 3]
    assert play.held() == [2]


def test_the_next_batch_does_not_wait_for_an_abandoned_one() -> None:
    """A worker went on without the first batch: each batch has its own barrier."""
    play, _ = after_commands(activity("a"), activity("b"))
    play.wake(signal("go"))
    play.completed(play.poll(), activity("c"))
    assert play.run_activity("c") == play.workflow_task.id
    assert play.steps_of(*OUTCOMES) == [3]
    play.completed(play.poll(), timer(60))
    play.run_activity("b")
    assert (play.held(), play.workflow_tasks) == ([2], [])
    play.run_activity("a")
    assert play.steps_of(*OUTCOMES) == [3, 1, 2]
    assert play.workflow_task.resume["workflow_sequence"] == 1


def test_state_keeps_what_is_open_held_or_of_the_newest_batch() -> None:
    play, _ = after_commands(activity("a"), activity("b"))
    play.run_activity("a")
    assert sorted(play.state.activities) == [1, 2]
    play.run_activity("b")
    assert sorted(play.state.activities) == [1, 2]
    play.completed(play.poll(), activity("c"), timer(60))
    assert sorted(play.state.activities) == [3]
    assert sorted(play.state.timers) == [4]
    play.wake(signal("go"))
    play.completed(play.poll(), activity("d"))
    assert sorted(play.state.activities) == [3, 5]
    assert sorted(play.state.timers) == [4]

"""Timers: started by a command, fired once, never early."""

from __future__ import annotations

import pytest

from dwserver.engine.commands.terminal import CompleteWorkflow, ContinueAsNew
from dwserver.engine.wire_time import MICROS
from dwserver.engine.words import RunStatus, TimerKind, TimerStatus
from tests.engine.builders import (
    Play,
    after_commands,
    begun,
)
from tests.engine.documents import task_document
from tests.engine.parts import (
    NOON,
    activity,
    at,
    group,
    signal,
    timer,
)


def test_a_timer_from_start_to_end() -> None:
    """The worked example (c) of spec/engine.md §15, with dense step numbers."""
    play, t1 = begun()
    [m1] = play.completed(t1, timer(60)).created_task_ids
    row = play.here.timers[1]
    assert (row.task_id, row.status, row.kind) == (
        m1,
        TimerStatus.PENDING,
        TimerKind.PLAIN,
    )
    assert (row.fire_at, row.delay_seconds) == (NOON + 60 * MICROS, 60)
    assert play.state.tasks == {}

    play.advance(61)
    assert play.fire(1)
    assert play.here.timers[1].status is TimerStatus.FIRED
    assert play.here.timers[1].closed_at == NOON + 61 * MICROS
    t2 = play.poll()
    assert t2.resume == {
        "workflow_wait_kind": "timer",
        "open_wait_id": f"timer:{row.id}",
        "resume_source_kind": "timer",
        "resume_source_id": row.id,
        "timer_id": row.id,
        "workflow_sequence": 1,
        "workflow_event_type": "TimerFired",
    }
    assert play.completed(t2, CompleteWorkflow()).run_status is RunStatus.COMPLETED

    scheduled = {
        "timer_id": row.id,
        "sequence": 1,
        "delay_seconds": 60,
        "fire_at": at(60),
    }
    assert play.history()[2:] == [
        ("TimerScheduled", {**scheduled, "task": task_document(t1)}),
        ("TimerFired", {**scheduled, "fired_at": at(61)}),
        (
            "WorkflowCompleted",
            {
                "output": None,
                "payload_codec": "avro",
                "task": task_document(t2),
            },
        ),
    ]
    causes = [play.here.events[n].task_id for n in (3, 4)]
    assert causes == [t1.id, m1]


@pytest.mark.parametrize(
    ("delay", "elapsed", "fires"),
    [
        (0, 0, True),
        (1, 0, False),
        (60, 59.999999, False),
        (60, 60, True),
        (60, 600, True),
    ],
)
def test_never_early(delay: int, elapsed: float, fires: bool) -> None:
    play, _ = after_commands(timer(delay))
    before = play.state
    play.advance(elapsed)
    assert play.fire(1) is fires
    assert (play.state is before) is not fires
    assert play.event_types().count("TimerFired") == fires


def test_it_fires_once() -> None:
    play, _ = after_commands(timer(1))
    play.advance(1)
    assert play.fire(1)
    before = play.state
    assert not play.fire(1)
    assert not play.fire(2)
    assert play.state is before


def test_a_timer_among_other_steps_keeps_its_metadata() -> None:
    parallel = group(base=1, size=2, index=1)
    play, _ = after_commands(activity("a"), timer(5, parallel))
    play.advance(5)
    play.fire(2)
    for event_type, payload in play.history()[3:]:
        assert event_type in ("TimerScheduled", "TimerFired")
        assert {key: payload[key] for key in parallel} == parallel


@pytest.mark.parametrize(
    ("end", "told"),
    [(CompleteWorkflow(), []), (ContinueAsNew(), [1])],
)
def test_a_closed_run_has_no_pending_timer(
    end: CompleteWorkflow | ContinueAsNew, told: list[int]
) -> None:
    play, _ = after_commands(timer(5))
    first_run = play.run_id
    play.wake(signal("go"))
    play.completed(play.poll(), end)
    play.run_id = first_run
    assert play.here.timers[1].status is TimerStatus.CANCELLED
    assert play.here.timers[1].closed_at == NOON
    assert play.steps_of("TimerCancelled") == told
    play.advance(5)
    assert not play.fire(1)
    assert play.steps_of("TimerFired") == []


def test_a_pending_timer_found_on_a_closed_run_is_cancelled_silently() -> None:
    play, _ = after_commands(timer(5))
    draft = play.draft()
    draft.set_run(status=RunStatus.CANCELLED, closed_at=play.now)
    play.commit(draft)
    history = play.history()
    play.advance(5)
    assert play.fire(1)
    assert play.here.timers[1].status is TimerStatus.CANCELLED
    assert play.history() == history
    assert play.workflow_tasks == []


def test_a_batch_of_timers_wakes_once() -> None:
    play, _ = after_commands(timer(1), timer(2), timer(2))
    play.advance(1)
    play.fire(1)
    assert play.workflow_tasks == []
    play.advance(1)
    play.fire(2)
    assert play.workflow_tasks == []
    play.fire(3)
    assert play.workflow_task.resume["workflow_sequence"] == 3


def fired_orders(play: Play) -> list[int]:
    return play.steps_of("TimerFired")


def test_a_shorter_timer_waits_in_history_for_a_longer_one_before_it() -> None:
    play, _ = after_commands(timer(9), timer(1))
    play.advance(1)
    play.fire(2)
    assert fired_orders(play) == []
    assert play.held() == [2]
    play.advance(8)
    play.fire(1)
    assert fired_orders(play) == [1, 2]
    assert play.held() == []
    assert play.history()[-1][1]["fired_at"] == at(1)

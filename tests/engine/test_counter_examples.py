"""Shrunk stories that a random one once failed on, each with what it broke, and what
only random stories would notice."""

from __future__ import annotations

from dwserver.engine.commands.markers import RecordSideEffect
from dwserver.engine.commands.updates import CompleteUpdate
from dwserver.engine.wire_time import MICROS
from dwserver.engine.words import SignalStatus, TimerStatus, WaitStatus
from tests.engine.builders import (
    Play,
    after_commands,
    begun,
)
from tests.engine.parts import (
    activity,
    condition,
    signal_wait,
    timer,
)


def waits_for_history(play: Play) -> None:
    """A worker takes the task and has nothing to say to it."""
    play.fail_task(play.poll(), is_waiting=True)


def test_a_signal_that_a_silent_worker_saw_is_applied_to_the_condition() -> None:
    """It stayed received for good: an open message in a run without a task."""
    play, _ = after_commands(condition())
    sent = play.signalled("go")
    waits_for_history(play)
    known = play.here.signals[sent.sequence]
    assert (known.status, known.step) == (SignalStatus.APPLIED, 1)
    assert play.workflow_tasks == []


def test_a_signal_that_only_the_task_of_an_update_showed_still_wakes() -> None:
    """A handler ran, the workflow did not move; the signal was forgotten."""
    play, _ = after_commands(condition())
    play.updated("set")
    sent = play.signalled("go")
    waits_for_history(play)
    assert play.here.signals[sent.sequence].status is SignalStatus.RECEIVED
    assert play.workflow_task.resume["workflow_wait_kind"] == "signal"


def test_a_silent_worker_is_not_asked_about_the_same_signal_again() -> None:
    """A signal wait was open for the signal: without back-off the run spun."""
    play, _ = after_commands(signal_wait("go"))
    play.signalled("go")
    waits_for_history(play)
    assert play.workflow_tasks == []
    play.signalled("other")
    assert play.workflow_task.resume["signal_name"] == "other"


def test_the_task_of_a_held_time_out_covers_what_waited_behind_the_lease() -> None:
    """The remembered cause outlived the task that showed it, and woke once more."""
    play, _ = after_commands(activity("a"), condition(timeout=5))
    play.signalled("go")
    leased = play.poll()
    play.advance(5)
    play.fire(2)
    assert play.here.timers[2].is_held
    play.run_activity("a")
    assert play.run.wakes
    play.fail_task(leased, is_waiting=True)
    assert play.here.timers[2].status is TimerStatus.FIRED
    assert len(play.workflow_tasks) == 1
    assert play.run.wakes == ()


def test_two_waits_of_a_list_do_not_hold_each_other_back() -> None:
    """Each time-out left the wake to the other, and none came."""
    play, _ = after_commands(condition("a", 5), condition("b"))
    play.advance(5)
    play.fire(1)
    assert play.here.waits[1].status is WaitStatus.TIMED_OUT
    assert play.here.waits[2].status is WaitStatus.OPEN
    assert play.workflow_task.resume["workflow_event_type"] == "TimerFired"


def test_a_wait_beside_an_open_timer_leaves_the_wake_to_it() -> None:
    """A time-out woke a workflow whose list was not resolved yet."""
    play, _ = after_commands(timer(60), condition("a", 5))
    play.advance(5)
    play.fire(2)
    assert play.workflow_tasks == []
    play.advance(55)
    play.fire(1)
    assert len(play.workflow_tasks) == 1


def test_an_old_batch_does_not_count_for_the_newest_one() -> None:
    """The commands of the newest batch, sent again, were taken for new ones."""
    play, _ = after_commands(activity("a"))
    play.signalled("go")
    play.completed(play.poll(), activity("b"))
    play.run_activity("a")
    play.completed(play.poll(), activity("b"))
    assert play.run.last_step == 2


# what else no other test would notice ------------------------------------------------


def test_a_signal_that_no_task_has_shown_satisfies_no_wait() -> None:
    play, _ = after_commands(signal_wait("go"))
    play.signalled("other")
    leased = play.poll()
    play.signalled("go")
    play.completed(leased, signal_wait("go"))
    assert play.event_types()[-1] == "SignalReceived"
    assert play.workflow_task.resume["signal_name"] == "go"


def test_a_signal_for_a_wait_is_not_taken_for_the_condition_beside_it() -> None:
    play, _ = after_commands(condition(), signal_wait("go"))
    sent = play.signalled("go")
    waits_for_history(play)
    assert play.here.signals[sent.sequence].status is SignalStatus.RECEIVED


def test_a_seen_signal_does_not_make_an_idle_run_spin() -> None:
    play = Play()
    play.start()
    play.signalled("go")
    play.completed(play.poll())
    assert play.workflow_task.available_at - play.now == 3 * MICROS


def test_an_update_that_is_still_open_comes_before_the_look_at_the_condition() -> None:
    play, _ = after_commands(condition())
    update = play.updated("set")
    play.completed(play.poll())
    assert play.workflow_task.resume["workflow_update_id"] == update.id


def test_the_context_of_a_closed_update_is_not_shown_again() -> None:
    play, first = begun()
    update = play.updated("set")
    play.completed(first, RecordSideEffect())
    play.completed(play.poll(), CompleteUpdate(update_id=update.id))
    assert play.workflow_task.resume == {}


def test_an_outcome_makes_the_delayed_task_of_an_update_due() -> None:
    play, _ = after_commands(activity("a"))
    play.updated("set")
    play.completed(play.poll())
    assert play.workflow_task.available_at > play.now
    play.run_activity("a")
    assert play.workflow_task.available_at == play.now

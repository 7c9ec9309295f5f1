"""A run passes its deadline (``spec/engine.md §11``)."""

from __future__ import annotations

import pytest

from dwserver.engine.commands.batch import Completed
from dwserver.engine.commands.terminal import CompleteWorkflow, ContinueAsNew
from dwserver.engine.outcome import Rejection
from dwserver.engine.run_timeout import RunTimedOut
from dwserver.engine.words import (
    AttemptStatus,
    ClosedReason,
    FailureCategory,
    RunStatus,
    TaskStatus,
    TimerStatus,
)
from tests.engine.builders import (
    Play,
    begun,
)
from tests.engine.endings import beat, close, time_out
from tests.engine.parts import (
    activity,
    timer,
)

RUN = "run_timeout"
EXECUTION = "execution_timeout"


def started(*, run: int | None = None, execution: int | None = None) -> Play:
    play = Play()
    play.start(run_timeout_seconds=run, execution_timeout_seconds=execution)
    return play


@pytest.mark.parametrize(
    ("run", "execution", "elapsed", "kind"),
    [
        (None, None, 9999, None),
        (10, None, 9.999999, None),
        (10, None, 10, RUN),
        (None, 10, 10, EXECUTION),
        (10, 20, 15, RUN),
        (20, 10, 15, EXECUTION),
        (10, 10, 10, EXECUTION),
        (10, 20, 30, EXECUTION),
    ],
)
def test_which_deadline_it_was(
    run: int | None, execution: int | None, elapsed: float, kind: str | None
) -> None:
    play = started(run=run, execution=execution)
    play.advance(elapsed)
    version = play.run.version
    assert time_out(play) is (kind is not None)
    if kind is None:
        assert play.run.version == version
        return
    event, payload = play.history()[-1]
    [failure] = play.here.failures
    name = "execution" if kind == EXECUTION else "run"
    deadline = {
        seconds: f"2026-04-13T12:00:{seconds:02d}+00:00" if seconds else None
        for seconds in (run, execution)
    }
    passed = deadline[execution if kind == EXECUTION else run]
    assert event == "WorkflowTimedOut"
    assert payload == {
        "failure_id": failure.id,
        "timeout_kind": kind,
        "failure_category": "timeout",
        "message": f"Workflow {name} deadline expired at {passed}.",
        "exception_class": r"Workflow\V2\Exceptions\WorkflowTimeoutException",
        "execution_deadline_at": deadline[execution],
        "run_deadline_at": deadline[run],
    }
    assert (failure.source_kind, failure.propagation_kind) == (
        "workflow_run",
        "timeout",
    )
    assert failure.category is FailureCategory.TIMEOUT
    assert failure.event_sequence == play.run.last_sequence
    assert (play.run.status, play.run.closed_reason, play.run.closed_at) == (
        RunStatus.FAILED,
        ClosedReason.TIMED_OUT,
        play.now,
    )
    assert not time_out(play)


def test_everything_open_is_cancelled_first() -> None:
    play, task = begun(run_timeout_seconds=10)
    play.completed(task, activity("a"), timer(60), activity("b"))
    held = play.poll_activity("a")
    play.wake({"workflow_wait_kind": "signal"})
    leased = play.poll()
    play.advance(10)
    assert time_out(play)
    assert play.event_types()[6:] == [
        "ActivityCancelled",
        "ActivityCancelled",
        "TimerCancelled",
        "WorkflowTimedOut",
    ]
    for name, payload in play.history()[6:]:
        assert "command" not in payload, name
        assert "workflow_command_id" not in payload, name
    assert play.state.tasks == {}
    assert play.task(leased).status is TaskStatus.CANCELLED
    assert play.here.timers[2].status is TimerStatus.CANCELLED
    [attempt] = play.here.attempts.values()
    assert attempt.status is AttemptStatus.CANCELLED

    late = play.complete(leased, CompleteWorkflow())
    assert isinstance(late, Rejection)
    assert (late.reason, late.fields["stop_reason"]) == ("run_closed", "run_failed")
    assert late.fields["run_closed_reason"] == "timed_out"
    outcome = play.report(held.task)
    assert isinstance(outcome, Rejection)
    assert outcome.reason == "stale_attempt"
    stopped = beat(play, held)
    assert not isinstance(stopped, Rejection)
    assert (stopped.reason, stopped.cancel_requested) == ("attempt_closed", True)


def test_a_completion_after_the_deadline_ends_the_run_instead() -> None:
    play, task = begun(run_timeout_seconds=10)
    play.advance(9)
    assert isinstance(play.complete(task, activity("a")), Completed)
    play.run_activity("a")
    second = play.poll()
    play.advance(1)
    reply = play.complete(second, CompleteWorkflow())
    assert isinstance(reply, RunTimedOut)
    assert (reply.run.id, reply.run.status) == (play.run_id, RunStatus.FAILED)
    assert play.event_types()[-1] == "WorkflowTimedOut"
    assert play.task(second).status is TaskStatus.COMPLETED
    assert play.here.output is None
    again = play.complete(second, CompleteWorkflow())
    assert isinstance(again, Rejection)
    assert again.reason == "run_closed"


def test_only_the_holder_of_the_task_brings_it_about() -> None:
    play, task = begun(run_timeout_seconds=10)
    play.advance(10)
    for claim in ({"owner": "w9"}, {"attempt": 7}):
        assert isinstance(play.complete(task, CompleteWorkflow(), **claim), Rejection)
    refused = play.complete(task, CompleteWorkflow(), CompleteWorkflow())
    assert isinstance(refused, Rejection)
    assert not play.run.status.is_terminal


def test_a_closed_run_never_times_out() -> None:
    play, _ = begun(run_timeout_seconds=10)
    close(play)
    play.advance(99)
    assert not time_out(play)
    assert play.run.status is RunStatus.CANCELLED


def test_the_execution_deadline_holds_for_the_whole_chain() -> None:
    play, task = begun(run_timeout_seconds=10, execution_timeout_seconds=15)
    play.advance(9)
    play.completed(task, ContinueAsNew())
    play.advance(5)
    assert not time_out(play)
    play.advance(1)
    assert time_out(play)
    assert play.history()[-1][1]["timeout_kind"] == EXECUTION
    assert play.run.run_number == 2

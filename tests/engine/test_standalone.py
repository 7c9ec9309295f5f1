"""An activity without a workflow ends the run that hosts it."""

from __future__ import annotations

import pytest

from dwserver.engine.hosts import HOST_TYPE
from dwserver.engine.lifecycle.activity_timeout import ActivityTimedOut
from dwserver.engine.lifecycle.standalone import StartActivity, start_activity
from dwserver.engine.model import RetryPolicy, RunInput
from dwserver.engine.outcome import Rejection
from dwserver.engine.words import (
    ActivityStatus,
    CommandRejection,
    CommandType,
    FailureCategory,
    RunStatus,
    TaskKind,
)
from tests.engine import invariants
from tests.engine.builders import (
    Play,
)
from tests.engine.endings import close, repair_run, time_out_step
from tests.engine.parts import (
    avro,
)


def a_play(policy: RetryPolicy | None = None) -> Play:
    play = Play()
    start = StartActivity(
        namespace="default",
        activity_id="charge-1",
        activity_type="charge",
        task_queue="q",
        input=RunInput(arguments=avro("in"), memo={"activity_type": "charge"}),
        payload_codec="avro",
        retry_policy=policy,
    )
    draft = start_activity(start, play.context())
    play.run_id = draft.run.id
    play.commit(draft)
    return play


def test_it_starts_with_its_task_and_none_of_a_workflow() -> None:
    play = a_play()
    assert play.event_types() == [
        "StartAccepted",
        "WorkflowStarted",
        "ActivityScheduled",
    ]
    [task] = play.state.tasks.values()
    assert (task.kind, task.type_name, task.queue) == (TaskKind.ACTIVITY, "charge", "q")
    assert (play.run.status, play.run.workflow_type) == (RunStatus.WAITING, HOST_TYPE)
    assert play.here.activities[1].id in play.here.arguments
    assert "task" not in play.history()[2][1]
    assert repair_run(play).command.outcome == "repair_not_needed"


def test_its_result_is_that_of_the_run() -> None:
    play = a_play()
    assert play.succeed(play.poll_activity(), "out") is None
    assert play.event_types()[3:] == [
        "ActivityStarted",
        "ActivityCompleted",
        "WorkflowCompleted",
    ]
    assert play.run.status is RunStatus.COMPLETED
    assert play.here.output == avro("out")
    assert not play.state.tasks
    invariants.check_history_is_gapless(play.here)
    invariants.check_end(play.here)


def test_its_last_failure_is_that_of_the_run() -> None:
    play = a_play(RetryPolicy(max_attempts=2, backoff_seconds=(5,)))
    assert play.fail(play.poll_activity(), "once") is not None
    assert not play.run.status.is_terminal
    play.advance(5)
    assert play.fail(play.poll_activity(), "twice", type="Declined") is None
    assert play.run.status is RunStatus.FAILED
    own = play.here.failures[-1]
    assert (own.source_kind, own.message) == ("workflow_run", "twice")
    assert (own.exception_type, own.category) == ("Declined", FailureCategory.ACTIVITY)
    assert play.event_types()[-2:] == ["ActivityFailed", "WorkflowFailed"]
    invariants.check_end(play.here)


@pytest.mark.parametrize("is_held", [True, False])
def test_its_time_out_is_that_of_the_run(is_held: bool) -> None:
    play = a_play(RetryPolicy(schedule_to_close_timeout=10))
    if is_held:
        play.poll_activity()
    play.advance(10)
    assert isinstance(time_out_step(play, 1), ActivityTimedOut)
    assert play.run.status is RunStatus.FAILED
    assert play.here.failures[-1].category is FailureCategory.TIMEOUT
    invariants.check_end(play.here)


def test_it_is_cancelled_as_a_workflow() -> None:
    play = a_play()
    held = play.poll_activity()
    close(play, CommandType.CANCEL, reason="enough")
    assert play.run.status is RunStatus.CANCELLED
    assert play.here.activities[1].status is ActivityStatus.CANCELLED
    late = play.report(held.task, result=None)
    assert isinstance(late, Rejection)
    assert late.reason == "run_cancelled"


def test_it_takes_no_messages() -> None:
    play = a_play()
    signalled, updated = play.signal("go"), play.update("set")
    assert signalled.command.rejection_reason is CommandRejection.UNKNOWN_SIGNAL
    assert updated.command.rejection_reason is CommandRejection.UNKNOWN_UPDATE
    assert not play.workflow_tasks

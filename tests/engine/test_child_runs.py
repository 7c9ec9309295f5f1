"""Children that live on in other runs: continued, or run again (§8)."""

from __future__ import annotations

from dataclasses import replace

import pytest

from dwserver.engine.closing import close_run
from dwserver.engine.commands.kinds import WorkflowCommand
from dwserver.engine.commands.terminal import (
    ContinueAsNew,
    FailWorkflow,
)
from dwserver.engine.draft import Draft
from dwserver.engine.lifecycle.child_outcome import (
    hear_of_child,
    will_retry,
)
from dwserver.engine.model import Failure, RetryPolicy, RunInput
from dwserver.engine.outcome import Rejection
from dwserver.engine.wire_time import MICROS
from dwserver.engine.words import (
    ChildStatus,
    ClosedReason,
    FailureCategory,
    RunStatus,
)
from tests.engine.builders import (
    after_commands,
)
from tests.engine.children import (
    DONE,
    FAILED,
    NO_POLICIES,
    NO_TIMEOUTS,
    TWICE,
    call_document,
    child,
    finish,
    first_task,
    stop,
)
from tests.engine.parts import (
    NOON,
    avro,
)

# continued children ------------------------------------------------------------------


def test_a_child_that_continues() -> None:
    """The worked example (g), for a run that has a parent."""
    play, _ = after_commands(child())
    call = play.here.children[1]
    play.advance(1)
    finish(play, 1, ContinueAsNew(workflow_type="other"))
    moved = play.here.children[1]
    assert replace(call, child_run_id=moved.child_run_id, child_run_number=2) == moved
    assert play.history()[4:] == [
        (
            "ChildRunStarted",
            {
                **call_document(moved),
                "child_run_number": 2,
                "parent_close_policy": "abandon",
                **NO_POLICIES,
                **NO_TIMEOUTS,
            },
        )
    ]
    assert play.history()[4][1]["child_workflow_type"] == "kid"
    assert play.workflow_tasks == []
    started = play.history(moved.child_run_id)[0][1]
    assert started["parent_workflow_run_id"] == play.run_id
    assert started["parent_sequence"] == 1
    finish(play, 1)
    completed = play.history()[-1][1]
    assert completed["child_workflow_run_id"] == moved.child_run_id
    assert completed["child_run_number"] == 2


def test_the_end_of_a_run_that_the_child_left_behind_is_no_news() -> None:
    play, _ = after_commands(child())
    old = play.here.children[1].child_run_id
    finish(play, 1, ContinueAsNew())
    left = Draft(play.rows[old].state, play.context())
    parent = play.draft()
    reply = hear_of_child(parent, left, play.background(left.run))
    assert isinstance(reply, Rejection)
    assert parent.touched == 0


def test_an_outcome_is_heard_once() -> None:
    play, _ = after_commands(child())
    finish(play, 1)
    closed = Draft(play.rows[play.here.children[1].child_run_id].state, play.context())
    parent = play.draft()
    assert isinstance(
        hear_of_child(parent, closed, play.background(closed.run)), Rejection
    )
    assert parent.touched == 0


# run again ---------------------------------------------------------------------------


def test_a_failed_child_is_run_again() -> None:
    play, _ = after_commands(
        child(
            arguments=avro("AB=="),
            retry_policy=TWICE,
            execution_timeout_seconds=600,
            run_timeout_seconds=60,
        )
    )
    call = play.here.children[1]
    first = play.rows[call.child_run_id]
    play.advance(10)
    finish(play, 1, FailWorkflow(message="no"))
    moved = play.here.children[1]
    second = play.rows[moved.child_run_id]
    assert first.run.status is RunStatus.FAILED
    assert (moved.status, moved.attempt_count, moved.child_run_number) == (
        ChildStatus.STARTED,
        2,
        2,
    )
    assert (second.run.workflow_id, second.run.run_number) == (
        first.run.workflow_id,
        2,
    )
    assert second.input == first.input
    assert second.run.continued_from_run_id is None
    assert second.run.execution_deadline_at == NOON + 600 * MICROS
    assert second.run.run_deadline_at == NOON + 70 * MICROS
    [task] = second.state.tasks.values()
    assert task.available_at == NOON + 40 * MICROS
    instance = play.instances[second.run.workflow_id]
    assert (instance.current_run_id, instance.run_count) == (second.run.id, 2)
    timeouts = {
        "execution_timeout_seconds": 600,
        "run_timeout_seconds": 60,
        "execution_deadline_at": "2026-04-13T12:10:00+00:00",
        "run_deadline_at": "2026-04-13T12:01:10+00:00",
    }
    policies = {
        key: play.history()[2][1][key] for key in ("retry_policy", "timeout_policy")
    }
    assert play.history()[4:] == [
        (
            "ChildRunStarted",
            {
                **call_document(moved),
                "child_run_number": 2,
                "parent_close_policy": "abandon",
                **policies,
                **timeouts,
                "retry_attempt": 2,
                "retry_of_child_workflow_run_id": first.run.id,
                "retry_backoff_seconds": 30,
            },
        )
    ]
    assert play.history(second.run.id) == [
        (
            "WorkflowStarted",
            {
                **play.history(first.run.id)[0][1],
                "workflow_run_id": second.run.id,
                **timeouts,
                "retry_attempt": 2,
                "retry_of_child_workflow_run_id": first.run.id,
            },
        )
    ]
    assert play.workflow_tasks == []
    play.advance(30)
    finish(play, 1, FailWorkflow(message="no"))
    assert play.event_types()[-1] == "ChildRunFailed"
    assert play.here.children[1].status is ChildStatus.FAILED
    assert len(play.workflow_tasks) == 1


@pytest.mark.parametrize(
    ("policy", "end", "is_retried"),
    [
        (None, FailWorkflow(message="no"), False),
        (RetryPolicy(max_attempts=1), FailWorkflow(message="no"), False),
        (RetryPolicy(max_attempts=2), FailWorkflow(message="no"), True),
        (TWICE, FailWorkflow(message="no", non_retryable=True), False),
        (
            RetryPolicy(max_attempts=2, non_retryable_error_types=("Bad",)),
            FailWorkflow(message="no", exception_type="Bad"),
            False,
        ),
        (
            RetryPolicy(max_attempts=2, non_retryable_error_types=("kids.Bad",)),
            FailWorkflow(message="no", exception_class="kids.Bad"),
            False,
        ),
        (
            RetryPolicy(max_attempts=2, non_retryable_error_types=("Bad",)),
            FailWorkflow(message="no", exception_type="Worse"),
            True,
        ),
        (TWICE, DONE, False),
    ],
)
def test_when_a_child_is_run_again(
    policy: RetryPolicy | None, end: WorkflowCommand, is_retried: bool
) -> None:
    play, _ = after_commands(child(retry_policy=policy))
    finish(play, 1, end)
    assert play.here.children[1].is_open is is_retried
    assert len(play.workflow_tasks) == (not is_retried)


@pytest.mark.parametrize(
    ("status", "reason", "is_retried"),
    [
        (RunStatus.FAILED, ClosedReason.TIMED_OUT, True),
        (RunStatus.CANCELLED, ClosedReason.CANCELLED, False),
        (RunStatus.TERMINATED, ClosedReason.TERMINATED, False),
    ],
)
def test_only_failures_are_run_again(
    status: RunStatus, reason: ClosedReason, is_retried: bool
) -> None:
    play, _ = after_commands(child(retry_policy=TWICE))
    stop(play, 1, status, reason, **FAILED)
    assert play.here.children[1].is_open is is_retried


@pytest.mark.parametrize(("seconds", "is_retried"), [(29, True), (30, False)])
def test_no_run_begins_after_the_deadline_of_the_execution(
    seconds: int, is_retried: bool
) -> None:
    play, _ = after_commands(child(retry_policy=TWICE, execution_timeout_seconds=60))
    play.advance(seconds)
    finish(play, 1, FailWorkflow(message="no"))
    assert play.here.children[1].is_open is is_retried


def test_a_retry_counts_its_own_runs_only() -> None:
    """A continued run is no attempt."""
    play, _ = after_commands(child(retry_policy=TWICE))
    finish(play, 1, ContinueAsNew(arguments=avro("NEW=")))
    finish(play, 1, FailWorkflow(message="no"))
    call = play.here.children[1]
    assert (call.child_run_number, call.attempt_count) == (3, 2)
    assert play.rows[call.child_run_id].input == RunInput(arguments=avro("NEW="))


def test_a_retry_that_is_decided_twice_makes_one_run() -> None:
    """The parent's lane may decide anew about the same draft of the child."""
    play, _ = after_commands(child(retry_policy=TWICE))
    task = first_task(play, play.here.children[1])
    kid = play.draft(task.run_id)
    kid.record_failure(
        Failure(
            id="f",
            run_id=task.run_id,
            source_kind="workflow_run",
            source_id=task.run_id,
            propagation_kind="terminal",
            created_at=play.now,
            category=FailureCategory.APPLICATION,
            message="no",
        )
    )
    close_run(kid, RunStatus.FAILED, ClosedReason.FAILED)
    assert will_retry(play.state, kid)
    for _ in range(2):
        hear_of_child(play.draft(), kid, play.background(kid.run))
        assert len(kid.family()) == 2
    ended = play.draft()
    close_run(ended, RunStatus.TERMINATED, ClosedReason.TERMINATED)
    hear_of_child(ended, kid, play.background(kid.run))
    assert kid.family() == [kid]
    assert kid.instance is None

"""Children: started, followed, run again, resolved (spec/engine.md §8)."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from dwserver.engine.closing import close_run
from dwserver.engine.commands.batch import WorkflowCommand
from dwserver.engine.commands.children import StartChildWorkflow
from dwserver.engine.commands.markers import UpsertSearchAttributes
from dwserver.engine.commands.terminal import (
    CompleteWorkflow,
    ContinueAsNew,
    FailWorkflow,
)
from dwserver.engine.context import Limits, Policy
from dwserver.engine.draft import AppliedPolicy, Draft
from dwserver.engine.lifecycle.child_outcome import (
    give_up_on_child,
    hear_of_child,
    policy_reason,
    will_retry,
)
from dwserver.engine.model import Child, Failure, RetryPolicy, RunInput, Task
from dwserver.engine.outcome import Rejection
from dwserver.engine.wire_time import MICROS
from dwserver.engine.words import (
    ChildStatus,
    ClosedReason,
    FailureCategory,
    OutboxKind,
    ParentClosePolicy,
    RunStatus,
    TaskStatus,
)
from tests.engine.builders import (
    NOON,
    Play,
    activity,
    after_commands,
    at,
    avro,
    begun,
    group,
    signal,
    timer,
)
from tests.engine.documents import task_document

NO_POLICIES: dict[str, Any] = {"retry_policy": None, "timeout_policy": None}
NO_TIMEOUTS: dict[str, Any] = {
    "execution_timeout_seconds": None,
    "run_timeout_seconds": None,
    "execution_deadline_at": None,
    "run_deadline_at": None,
}
DONE = CompleteWorkflow(result=avro("OK=="))


def child(workflow_type: str = "kid", **fields: Any) -> StartChildWorkflow:
    return StartChildWorkflow(workflow_type=workflow_type, **fields)


def call_document(call: Child, run_id: str | None = None) -> dict[str, Any]:
    return {
        "sequence": call.step,
        "workflow_link_id": call.id,
        "child_call_id": call.id,
        "child_workflow_instance_id": call.child_workflow_id,
        "child_workflow_run_id": run_id or call.child_run_id,
        "child_workflow_class": call.workflow_type,
        "child_workflow_type": call.workflow_type,
    }


def first_task(play: Play, call: Child, owner: str = "w2") -> Task:
    """The workflow task of the child's current run, leased."""
    tasks = [
        task
        for task in play.rows[call.child_run_id].state.tasks.values()
        if task.status is TaskStatus.READY
    ]
    assert len(tasks) == 1
    leased = play.lease(tasks[0], owner)
    assert leased is not None
    return leased.task


def finish(play: Play, step: int, *commands: WorkflowCommand) -> None:
    """The child of the current run's call ``step`` runs its first task."""
    call = play.here.children[step]
    play.completed(first_task(play, call), *(commands or [DONE]))


def stop(
    play: Play, step: int, status: RunStatus, reason: ClosedReason, **failure: Any
) -> None:
    """Something else than its workflow ends the child of call ``step``."""
    run_id = play.here.children[step].child_run_id

    def decide(draft: Draft) -> None:
        if failure:
            draft.record_failure(
                Failure(
                    id="failure-1",
                    run_id=run_id,
                    source_kind="workflow_run",
                    source_id=run_id,
                    propagation_kind="terminal",
                    created_at=draft.context.now,
                    **failure,
                )
            )
        close_run(draft, status, reason)

    play.decide(decide, run_id)


# the worked example ------------------------------------------------------------------


def test_from_the_command_to_the_result() -> None:
    """The worked example (f) of spec/engine.md §15, with dense step numbers."""
    play, t1 = begun()
    parent = play.run_id
    reply = play.completed(t1, child(arguments=avro("AB==")))
    call = play.here.children[1]
    kid = play.rows[call.child_run_id]
    [task] = kid.state.tasks.values()
    assert reply.created_task_ids == (task.id,)
    assert (reply.run_id, reply.run_status) == (parent, RunStatus.WAITING)
    assert play.run_id == parent
    started = {
        **call_document(call),
        "parent_close_policy": "abandon",
        **NO_POLICIES,
        "task": task_document(t1),
    }
    assert play.history()[2:] == [
        ("ChildWorkflowScheduled", started),
        ("ChildRunStarted", {**started, "child_run_number": 1, **NO_TIMEOUTS}),
    ]
    assert play.history(kid.run.id) == [
        (
            "WorkflowStarted",
            {
                "workflow_class": "kid",
                "workflow_type": "kid",
                "workflow_instance_id": call.child_workflow_id,
                "workflow_run_id": kid.run.id,
                "memo": {},
                "parent_workflow_instance_id": "wf",
                "parent_workflow_run_id": parent,
                "parent_sequence": 1,
                "workflow_link_id": call.id,
                "child_call_id": call.id,
                **NO_POLICIES,
                **NO_TIMEOUTS,
            },
        )
    ]
    assert (task.queue, task.type_name, task.resume) == ("q", "kid", {})
    assert kid.run.last_sequence == 1
    assert kid.input == RunInput(arguments=avro("AB=="))
    assert play.instances[call.child_workflow_id].current_run_id == kid.run.id
    assert play.workflow_tasks == []

    play.advance(3)
    finish(play, 1)
    assert play.event_types(kid.run.id) == ["WorkflowStarted", "WorkflowCompleted"]
    closed = play.here.children[1]
    assert (closed.status, closed.closed_at) == (
        ChildStatus.COMPLETED,
        NOON + 3 * MICROS,
    )
    assert play.history()[4:] == [
        (
            "ChildRunCompleted",
            {
                **call_document(call),
                "child_run_number": 1,
                "child_status": "completed",
                "closed_reason": "completed",
                "closed_at": at(3),
                "output": "OK==",
                "result": "OK==",
                "payload_codec": "avro",
            },
        )
    ]
    t2 = play.workflow_task
    assert t2.resume == {
        "workflow_wait_kind": "child",
        "open_wait_id": f"child:{call.id}",
        "resume_source_kind": "child_workflow_run",
        "resume_source_id": kid.run.id,
        "child_call_id": call.id,
        "child_workflow_run_id": kid.run.id,
        "workflow_sequence": 1,
        "workflow_event_type": "ChildRunCompleted",
    }
    assert play.completed(play.poll(), DONE).run_status is RunStatus.COMPLETED


# what a child starts with ------------------------------------------------------------


def test_what_is_inherited() -> None:
    given = RunInput(
        arguments=avro("in"),
        memo={"m": 1},
        search_attributes={"City": "Rome"},
        business_key="b-1",
    )
    play, task = begun(input=given, compatibility="build-7", priority=2)
    play.completed(task, UpsertSearchAttributes(attributes={"City": "Oslo"}), child())
    call = play.here.children[2]
    kid = play.rows[call.child_run_id]
    assert kid.input == RunInput(
        arguments=None, memo={"m": 1}, search_attributes={"City": "Oslo"}
    )
    for name in ("namespace", "task_queue", "compatibility", "priority"):
        assert getattr(kid.run, name) == getattr(play.run, name), name
    assert (kid.run.parent_run_id, kid.run.parent_step) == (play.run_id, 2)


def test_what_the_command_says() -> None:
    policy = RetryPolicy(
        max_attempts=2, backoff_seconds=(1,), non_retryable_error_types=("Bad",)
    )
    play, _ = after_commands(
        child(
            queue="other",
            parent_close_policy=ParentClosePolicy.TERMINATE,
            retry_policy=policy,
            execution_timeout_seconds=100,
            run_timeout_seconds=50,
        )
    )
    call = play.here.children[1]
    kid = play.rows[call.child_run_id]
    policies = {
        "retry_policy": {
            "snapshot_version": 1,
            "max_attempts": 2,
            "backoff_seconds": [1],
            "non_retryable_error_types": ["Bad"],
        },
        "timeout_policy": {
            "snapshot_version": 1,
            "execution_timeout_seconds": 100,
            "run_timeout_seconds": 50,
        },
    }
    timeouts = {
        "execution_timeout_seconds": 100,
        "run_timeout_seconds": 50,
        "execution_deadline_at": "2026-04-13T12:01:40+00:00",
        "run_deadline_at": "2026-04-13T12:00:50+00:00",
    }
    scheduled, started = (payload for _, payload in play.history()[2:])
    assert {**scheduled, **policies} == scheduled
    assert scheduled["parent_close_policy"] == "terminate"
    assert {**started, **policies, **timeouts} == started
    begun_with = play.history(kid.run.id)[0][1]
    assert {**begun_with, **policies, **timeouts} == begun_with
    assert kid.run.task_queue == "other"
    assert kid.run.deadline_at == NOON + 50 * MICROS


# outcomes ----------------------------------------------------------------------------

FAILED: dict[str, Any] = {
    "category": FailureCategory.TIMEOUT,
    "message": "too late",
    "exception_class": "Timeout",
}


@pytest.mark.parametrize(
    ("status", "reason", "failure", "call_status", "event_type", "told"),
    [
        (
            RunStatus.FAILED,
            ClosedReason.TIMED_OUT,
            FAILED,
            ChildStatus.FAILED,
            "ChildRunFailed",
            {"exception": {"class": "Timeout", "message": "too late"}},
        ),
        (
            RunStatus.CANCELLED,
            ClosedReason.CANCELLED,
            FAILED,
            ChildStatus.CANCELLED,
            "ChildRunCancelled",
            {},
        ),
        (
            RunStatus.TERMINATED,
            ClosedReason.TERMINATED,
            FAILED,
            ChildStatus.TERMINATED,
            "ChildRunTerminated",
            {},
        ),
    ],
)
def test_how_a_child_can_end(
    status: RunStatus,
    reason: ClosedReason,
    failure: dict[str, Any],
    call_status: ChildStatus,
    event_type: str,
    told: dict[str, Any],
) -> None:
    play, _ = after_commands(child())
    stop(play, 1, status, reason, **failure)
    call = play.here.children[1]
    assert call.status is call_status
    assert play.history()[-1] == (
        event_type,
        {
            **call_document(call),
            "child_run_number": 1,
            "child_status": str(status),
            "closed_reason": str(reason),
            "closed_at": at(0),
            "failure_id": "failure-1",
            "failure_category": "timeout",
            "exception_class": "Timeout",
            "message": "too late",
            **told,
        },
    )
    assert play.workflow_task.resume["workflow_event_type"] == event_type


def test_a_failure_in_its_own_words() -> None:
    play, _ = after_commands(child())
    finish(
        play,
        1,
        FailWorkflow(
            message="kid broke",
            exception_type="KidError",
            exception_class="kids.KidError",
            exception={"code": 7, "trace": ["a"]},
        ),
    )
    call = play.here.children[1]
    failure_id = play.rows[call.child_run_id].failures[0].id
    assert play.history()[-1] == (
        "ChildRunFailed",
        {
            **call_document(call),
            "child_run_number": 1,
            "child_status": "failed",
            "closed_reason": "failed",
            "closed_at": at(0),
            "failure_id": failure_id,
            "failure_category": "application",
            "exception_type": "KidError",
            "exception_class": "kids.KidError",
            "message": "kid broke",
            "exception": {
                "class": "kids.KidError",
                "type": "KidError",
                "message": "kid broke",
                "code": 7,
                "trace": ["a"],
            },
            "code": 7,
        },
    )


# batches -----------------------------------------------------------------------------


def test_an_outcome_waits_for_earlier_members() -> None:
    play, _ = after_commands(activity("a"), child("one"), child("two"), timer(5))
    finish(play, 3)
    assert play.held() == [3]
    finish(play, 2)
    assert play.held() == [2, 3]
    assert play.workflow_tasks == []
    play.run_activity("a")
    assert play.held() == []
    assert play.workflow_tasks == []
    play.advance(5)
    play.fire(4)
    assert play.steps_of("ActivityCompleted", "ChildRunCompleted", "TimerFired") == [
        1,
        2,
        3,
        4,
    ]
    assert len(play.workflow_tasks) == 1


def test_members_of_a_group_take_their_place_at_once() -> None:
    members = [
        child(parallel=group(base=7, size=2, index=index, prefix="children"))
        for index in range(2)
    ]
    play, _ = after_commands(*members)
    finish(play, 2)
    resolved = play.history()[-1]
    assert resolved[0] == "ChildRunCompleted"
    assert resolved[1]["parallel_group_id"] == "parallel-children:1:2"
    assert play.workflow_tasks == []
    for event_type, payload in play.history()[2:]:
        assert payload["parallel_group_base_sequence"] == 1, event_type
    finish(play, 1)
    assert len(play.workflow_tasks) == 1


@pytest.mark.parametrize(
    ("again", "is_new"),
    [
        ([child("a"), child("b")], False),
        ([child("b"), child("a")], True),
        ([child("a"), child("b", arguments=avro("x"))], True),
        ([child("a")], True),
        ([child("a"), activity("b")], True),
    ],
)
def test_children_asked_for_again(again: list[WorkflowCommand], is_new: bool) -> None:
    play, _ = after_commands(child("a"), child("b"))
    play.wake(signal("go"))
    reply = play.completed(play.poll(), *again)
    assert len(reply.created_task_ids) == (len(again) if is_new else 0)
    assert reply.run_status is RunStatus.WAITING


def test_an_outcome_while_the_parent_works() -> None:
    """The event is there at once; the worker hears of it in the next task."""
    play, _ = after_commands(child())
    play.wake(signal("go"))
    task = play.poll()
    finish(play, 1)
    assert play.event_types()[-1] == "ChildRunCompleted"
    assert play.workflow_tasks == [task]
    play.completed(task)
    assert play.workflow_task.resume["workflow_wait_kind"] == "child"


def test_the_limit_of_open_children() -> None:
    policy = Policy(limits=Limits(pending_children=2))
    play, _ = after_commands(child(), child(), policy=policy)
    play.wake(signal("go"))
    task = play.poll()
    refused = play.complete(task, child("other"))
    assert isinstance(refused, Rejection)
    assert refused.fields == {
        "limit_kind": "pending_child_count",
        "current_value": 3,
        "configured_limit": 2,
    }
    finish(play, 1)
    play.completed(task, child("other"))


def test_a_child_counts_for_the_events_of_a_transaction() -> None:
    policy = Policy(limits=Limits(history_transaction_size=3))
    play, task = begun(policy)
    refused = play.complete(task, child(), child())
    assert isinstance(refused, Rejection)
    assert refused.fields["limit_kind"] == "history_transaction_size"
    play.completed(task, child(), timer(1))


def test_an_open_child_is_something_to_wait_for() -> None:
    play, _ = after_commands(child())
    play.wake(signal("go"))
    play.completed(play.poll())
    assert play.workflow_tasks == []


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

TWICE = RetryPolicy(max_attempts=2, backoff_seconds=(30,))


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


# parents that close ------------------------------------------------------------------


@pytest.mark.parametrize("policy", list(ParentClosePolicy))
def test_a_child_may_outlive_its_parent(policy: ParentClosePolicy) -> None:
    play, _ = after_commands(child(parent_close_policy=policy, retry_policy=TWICE))
    play.wake(signal("go"))
    play.completed(play.poll(), DONE)
    before = play.history()
    assert play.here.children[1].is_open
    finish(play, 1, FailWorkflow(message="no"))
    assert play.here.children[1].status is ChildStatus.FAILED
    assert play.history() == before
    assert play.state.tasks == {}


@pytest.mark.parametrize(
    ("policies", "leaves"),
    [
        ([], False),
        ([ParentClosePolicy.ABANDON], False),
        ([ParentClosePolicy.ABANDON, ParentClosePolicy.TERMINATE], True),
        ([ParentClosePolicy.REQUEST_CANCEL], True),
    ],
)
@pytest.mark.parametrize(
    ("end", "reason"),
    [(DONE, "completed"), (FailWorkflow(message="no"), "failed")],
)
def test_a_parent_leaves_word_for_its_children(
    policies: list[ParentClosePolicy],
    leaves: bool,
    end: WorkflowCommand,
    reason: str,
) -> None:
    play, task = begun()
    children = [child(parent_close_policy=policy) for policy in policies]
    play.completed(task, timer(0), *children)
    play.wake(signal("go"))
    play.completed(play.poll(), end)
    assert len(play.here.outbox) == leaves
    for entry in play.here.outbox:
        assert (entry.kind, entry.run_id, entry.namespace) == (
            OutboxKind.PARENT_CLOSE,
            play.run_id,
            "default",
        )
        assert entry.payload == {
            "workflow_id": "wf",
            "closed_reason": reason,
            "inherits_children": False,
        }
        assert entry.available_at > entry.created_at == NOON


def test_closed_children_need_no_word() -> None:
    play, _ = after_commands(child(parent_close_policy=ParentClosePolicy.TERMINATE))
    finish(play, 1)
    play.completed(play.poll(), DONE)
    assert play.here.outbox == []


def test_children_of_a_continued_parent() -> None:
    """They stay with the run that started them; the last one leaves word."""
    policy = ParentClosePolicy.REQUEST_CANCEL
    play, _ = after_commands(child(parent_close_policy=policy))
    first = play.run_id
    for _ in range(2):
        if play.run_id == first:
            play.wake(signal("go"))
        play.completed(play.poll(), ContinueAsNew())
        assert play.run.inherits_children
    assert [rows.outbox for rows in play.rows.values()] == [[]] * 4
    play.completed(play.poll(), DONE)
    [entry] = play.here.outbox
    assert entry.run_id == play.run_id
    assert entry.payload["inherits_children"] is True
    play.run_id = first
    assert play.here.children[1].is_open
    finish(play, 1)
    assert play.here.children[1].status is ChildStatus.COMPLETED
    assert play.event_types()[-1] == "WorkflowContinuedAsNew"


def test_a_continued_parent_of_abandoned_children_leaves_nothing() -> None:
    play, task = begun()
    play.completed(task, child(), ContinueAsNew())
    assert not play.run.inherits_children


def test_a_policy_that_closed_the_child_is_on_record() -> None:
    policy = ParentClosePolicy.TERMINATE
    play, _ = after_commands(child(parent_close_policy=policy))
    play.wake(signal("go"))
    play.completed(play.poll(), DONE)
    reason = policy_reason(policy, "completed")
    assert reason == (
        "Parent workflow closed (completed); parent-close policy: terminate."
    )

    def decide(draft: Draft) -> None:
        close_run(draft, RunStatus.TERMINATED, ClosedReason.TERMINATED)
        draft.policy = AppliedPolicy(policy, reason)

    call = play.here.children[1]
    play.decide(decide, call.child_run_id)
    assert play.here.children[1].status is ChildStatus.TERMINATED
    assert play.history()[-1] == (
        "ParentClosePolicyApplied",
        {
            "child_instance_id": call.child_workflow_id,
            "child_run_id": call.child_run_id,
            "policy": "terminate",
            "reason": reason,
        },
    )


def test_a_policy_that_cannot_be_carried_out_is_on_record_once() -> None:
    policy = ParentClosePolicy.TERMINATE
    play, _ = after_commands(child(parent_close_policy=policy))
    play.wake(signal("go"))
    play.completed(play.poll(), DONE)
    applied = AppliedPolicy(policy, "why")
    call = play.here.children[1]

    def decide(draft: Draft) -> bool:
        return give_up_on_child(draft, call, applied, error="gone")

    def too_late(draft: Draft) -> bool:
        earlier = replace(call, child_run_id="the one before")
        return give_up_on_child(draft, earlier, applied, error="gone")

    assert not play.decide(too_late)
    assert play.decide(decide)
    assert not play.decide(decide)
    assert play.here.children[1].status is ChildStatus.ABANDONED
    assert play.history()[-1] == (
        "ParentClosePolicyFailed",
        {
            "child_instance_id": call.child_workflow_id,
            "child_run_id": call.child_run_id,
            "policy": "terminate",
            "reason": "why",
            "error": "gone",
        },
    )
    assert play.event_types().count("ParentClosePolicyFailed") == 1


# generations -------------------------------------------------------------------------


def test_a_parent_fails_over_its_child_and_its_own_parent_hears_of_it() -> None:
    play, _ = after_commands(child("middle"))
    top = play.run_id
    finish(play, 1, child("low"))
    middle = play.rows[play.here.children[1].child_run_id].run.id
    play.run_id = middle
    finish(play, 1, FailWorkflow(message="no"))
    play.completed(play.poll(), FailWorkflow(message="so no"))
    play.run_id = top
    assert play.event_types()[-1] == "ChildRunFailed"
    assert play.history()[-1][1]["message"] == "so no"
    assert play.completed(play.poll(), DONE).run_status is RunStatus.COMPLETED

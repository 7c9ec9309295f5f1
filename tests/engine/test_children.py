"""Children: how they start, and how their parent hears of them (§8)."""

from __future__ import annotations

from typing import Any

import pytest

from dwserver.engine.commands.kinds import WorkflowCommand
from dwserver.engine.commands.markers import UpsertSearchAttributes
from dwserver.engine.commands.terminal import (
    FailWorkflow,
)
from dwserver.engine.context import Limits, Policy
from dwserver.engine.model import RetryPolicy, RunInput
from dwserver.engine.outcome import Rejection
from dwserver.engine.wire_time import MICROS
from dwserver.engine.words import (
    ChildStatus,
    ClosedReason,
    ParentClosePolicy,
    RunStatus,
)
from tests.engine.builders import (
    after_commands,
    begun,
)
from tests.engine.children import (
    DONE,
    FAILED,
    NO_POLICIES,
    NO_TIMEOUTS,
    call_document,
    child,
    finish,
    stop,
)
from tests.engine.documents import task_document
from tests.engine.parts import (
    NOON,
    activity,
    at,
    avro,
    group,
    signal,
    timer,
)

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

"""A run that continues as a new run of the same workflow id."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from dwserver.engine.commands.batch import Completion, complete_workflow_task
from dwserver.engine.commands.terminal import CompleteWorkflow, ContinueAsNew
from dwserver.engine.lifecycle.start import DuplicatePolicy
from dwserver.engine.model import RunInput
from dwserver.engine.wire_time import MICROS
from dwserver.engine.words import (
    ActivityStatus,
    ClosedReason,
    RunStatus,
    TaskStatus,
    TimerStatus,
)
from tests.engine.builders import (
    begun,
)
from tests.engine.documents import activity_document, task_document
from tests.engine.parts import (
    NOON,
    activity,
    at,
    avro,
    group,
    signal,
    timer,
)


def test_from_the_first_run_to_the_second() -> None:
    """The worked example (g) of spec/engine.md §15, with dense step numbers."""
    play, t1 = begun()
    old = play.run_id
    play.advance(1)
    reply = play.completed(t1, ContinueAsNew(arguments=avro("NEW=")))
    new = play.run_id
    t2 = play.workflow_task
    assert reply.run_id == old
    assert reply.run_status is RunStatus.COMPLETED
    assert reply.created_task_ids == (t2.id,)
    assert new != old

    closed = play.rows[old].run
    assert (closed.status, closed.closed_reason) == (
        RunStatus.COMPLETED,
        ClosedReason.CONTINUED,
    )
    assert closed.closed_at == NOON + 1 * MICROS
    assert play.rows[old].output is None
    assert play.task(t1).status is TaskStatus.COMPLETED
    link_id = play.history(old)[2][1]["workflow_link_id"]
    assert play.history(old)[2:] == [
        (
            "WorkflowContinuedAsNew",
            {
                "sequence": 1,
                "continued_to_run_id": new,
                "continued_to_run_number": 2,
                "workflow_link_id": link_id,
                "closed_reason": "continued",
                "task": task_document(t1),
            },
        )
    ]
    assert play.history(new) == [
        (
            "WorkflowStarted",
            {
                "workflow_class": "demo",
                "workflow_type": "demo",
                "workflow_instance_id": "wf",
                "workflow_run_id": new,
                "memo": {},
                "continued_from_run_id": old,
                "workflow_link_id": link_id,
            },
        )
    ]
    run = play.run
    assert (run.run_number, run.status, run.last_sequence) == (2, RunStatus.PENDING, 1)
    assert (run.started_at, run.continued_from_run_id) == (NOON + 1 * MICROS, old)
    assert (t2.run_id, t2.resume, t2.status) == (new, {}, TaskStatus.READY)
    assert play.here.input == RunInput(arguments=avro("NEW="))
    assert (play.instances["wf"].current_run_id, play.instances["wf"].run_count) == (
        new,
        2,
    )
    # The new run lives on its own.
    assert play.completed(play.poll(), timer(1)).run_id == new
    assert play.here.timers[1].step == 1


def test_what_is_carried_over() -> None:
    given = RunInput(
        arguments=avro("in"),
        memo={"m": 1},
        search_attributes={"City": "Rome"},
        business_key="b-1",
    )
    play, task = begun(
        input=given,
        execution_timeout_seconds=600,
        run_timeout_seconds=60,
        compatibility="build-7",
        priority=2,
    )
    old = play.run
    play.advance(10)
    play.completed(task, ContinueAsNew())
    run = play.run
    assert play.here.input == given
    for name in (
        "namespace",
        "workflow_id",
        "workflow_type",
        "task_queue",
        "payload_codec",
        "compatibility",
        "priority",
        "execution_timeout_seconds",
        "run_timeout_seconds",
        "execution_deadline_at",
    ):
        assert getattr(run, name) == getattr(old, name), name
    assert run.run_deadline_at == NOON + 70 * MICROS
    started = play.history()[0][1]
    assert started["memo"] == {"m": 1}
    assert started["search_attributes"] == {"City": "Rome"}
    assert started["business_key"] == "b-1"
    assert started["execution_deadline_at"] == "2026-04-13T12:10:00+00:00"
    assert started["run_deadline_at"] == "2026-04-13T12:01:10+00:00"
    assert "command" not in started
    for name in ("last_step", "task_failures", "batch_size", "command_sequence"):
        assert getattr(run, name) == 0, name


@pytest.mark.parametrize(
    ("command", "workflow_type", "queue", "arguments"),
    [
        (ContinueAsNew(), "demo", "q", "in"),
        (ContinueAsNew(workflow_type="next"), "next", "q", "in"),
        (ContinueAsNew(queue="other"), "demo", "other", "in"),
        (ContinueAsNew(arguments=avro("x")), "demo", "q", "x"),
        (
            ContinueAsNew(arguments=avro("x"), workflow_type="next", queue="other"),
            "next",
            "other",
            "x",
        ),
    ],
)
def test_what_is_replaced(
    command: ContinueAsNew, workflow_type: str, queue: str, arguments: str
) -> None:
    play, task = begun()
    play.completed(task, command)
    successor = play.workflow_task
    assert (play.run.workflow_type, play.run.task_queue) == (workflow_type, queue)
    assert (successor.type_name, successor.queue) == (workflow_type, queue)
    assert play.here.input is not None
    assert play.here.input.arguments == avro(arguments)
    assert play.instances["wf"].workflow_type == workflow_type


def test_open_steps_are_cancelled_first() -> None:
    play, task = begun()
    old = play.run_id
    parallel = group(base=4, size=1, index=0)
    play.completed(
        task, timer(9), activity("a"), activity("b"), timer(5, parallel)
    )  # fmt: skip
    held = play.poll_activity("a")
    play.wake(signal("go"))
    t2 = play.poll()
    play.advance(1)
    play.completed(t2, ContinueAsNew())
    play.run_id = old
    first, second = play.here.activities[2], play.here.activities[3]
    timers = play.here.timers
    attempt_id = held.task.attempt_id
    unclaimed = next(
        task for task in play.here.tasks.values() if task.activity_id == second.id
    )
    closed_attempt = {
        "id": attempt_id,
        "activity_execution_id": first.id,
        "task_id": held.task.id,
        "attempt_number": 1,
        "status": "cancelled",
        "lease_owner": "w1",
        "started_at": at(0),
        "closed_at": at(1),
    }

    def cancelled(
        row: Any,
        kind: str,
        task: dict[str, Any],
        attempt: str | None = None,
        **fields: Any,
    ) -> dict[str, Any]:
        rest: dict[str, Any] = {"task": task}
        if attempt is not None:
            fields["attempt_id"] = attempt
            rest["activity_attempt"] = closed_attempt
        return {
            **rest,
            "activity_execution_id": row.id,
            "activity_attempt_id": attempt,
            "activity_class": kind,
            "activity_type": kind,
            "sequence": row.step,
            "attempt_number": row.attempt_count,
            "cancelled_at": at(1),
            "activity": activity_document(
                row,
                kind,
                row.step,
                status="cancelled",
                closed_at=at(1),
                attempt_count=row.attempt_count,
                **fields,
            ),
        }

    assert play.history()[7:-1] == [
        (
            "ActivityCancelled",
            cancelled(
                first,
                "a",
                task_document(held.task, status="cancelled"),
                attempt_id,
                started_at=at(0),
            ),
        ),
        (
            "ActivityCancelled",
            cancelled(
                second,
                "b",
                task_document(unclaimed, status="cancelled", attempt=0, owner=None),
            ),
        ),
        (
            "TimerCancelled",
            {
                "timer_id": timers[1].id,
                "sequence": 1,
                "delay_seconds": 9,
                "fire_at": at(9),
                "cancelled_at": at(1),
            },
        ),
        (
            "TimerCancelled",
            {
                "timer_id": timers[4].id,
                "sequence": 4,
                "delay_seconds": 5,
                "fire_at": at(5),
                "cancelled_at": at(1),
                **parallel,
            },
        ),
    ]
    assert play.history()[-1][0] == "WorkflowContinuedAsNew"
    assert play.history()[-1][1]["sequence"] == 5
    for row in (first, second):
        assert row.status is ActivityStatus.CANCELLED
    for pending in timers.values():
        assert pending.status is TimerStatus.CANCELLED
    assert play.state.tasks == {}
    assert play.task(held.task).status is TaskStatus.CANCELLED


def test_the_closed_run_refuses_its_old_worker() -> None:
    play, task = begun()
    play.completed(task, ContinueAsNew())
    play.run_id = task.run_id
    reply = play.complete(task, CompleteWorkflow())
    assert reply.reason == "run_closed"  # type: ignore[union-attr]
    assert reply.fields["run_closed_reason"] == "continued"  # type: ignore[union-attr]


def test_a_chain() -> None:
    play, task = begun()
    seen = [play.run_id]
    for number in range(2, 6):
        play.completed(task, ContinueAsNew())
        assert play.run.run_number == number
        assert play.run.continued_from_run_id == seen[-1]
        assert play.instances["wf"].run_count == number
        seen.append(play.run_id)
        task = play.poll()
    assert len(set(seen)) == 5
    assert sum(not rows.run.status.is_terminal for rows in play.rows.values()) == 1


def test_the_id_stands_for_the_new_run() -> None:
    play, task = begun()
    play.completed(task, ContinueAsNew())
    reply = play.start_again(duplicate_policy=DuplicatePolicy.USE_EXISTING)
    assert reply.run.id == play.run_id
    assert reply.outcome == "returned_existing_active"
    assert play.event_types() == ["WorkflowStarted", "StartAccepted"]
    assert play.here.commands[0].sequence == 1


def test_it_needs_the_input_of_the_closing_run() -> None:
    play, task = begun()
    completion = Completion(
        task=task, owner="w1", attempt=1, commands=[ContinueAsNew()]
    )
    with pytest.raises(ValueError, match="instance"):
        complete_workflow_task(play.draft(), completion)


def test_a_child_stays_a_child() -> None:
    play, task = begun()
    draft = play.draft()
    draft.set_run(parent_run_id="parent", parent_step=4)
    play.commit(draft)
    play.completed(replace(task), ContinueAsNew())
    assert (play.run.parent_run_id, play.run.parent_step) == ("parent", 4)

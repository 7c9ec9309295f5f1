"""The definition that a run stays with: when it is recorded, who may go on, when it
ends (topology §5.10)."""

from __future__ import annotations

import pytest

from dwserver.engine import leases
from dwserver.engine.commands.terminal import ContinueAsNew, FailWorkflow
from dwserver.engine.context import Policy
from dwserver.engine.definitions import may_continue
from dwserver.engine.leases import Leased
from dwserver.engine.model import RetryPolicy, Task
from dwserver.engine.words import TaskKind, TaskStatus
from tests.engine.builders import Play
from tests.engine.children import child
from tests.engine.parts import activity, avro, signal

F1, F2 = "sha256:f1", "sha256:f2"


@pytest.mark.parametrize(
    ("recorded", "advertised", "may"),
    [
        (None, None, True),
        (None, F1, True),
        (F1, None, True),
        (F1, F1, True),
        (F1, F2, False),
    ],
)
def test_what_is_not_told_fits_everything(
    recorded: str | None, advertised: str | None, may: bool
) -> None:
    assert may_continue(recorded, advertised) is may


def started(policy: Policy | None = None) -> Play:
    play = Play(policy)
    play.start()
    return play


def leased_to(play: Play, fingerprint: str | None, owner: str = "w1") -> Leased:
    leased = play.lease(play.workflow_task, owner, fingerprint=fingerprint)
    assert leased is not None
    return leased


def test_the_first_lease_records_and_later_tasks_carry_it() -> None:
    play = started()
    assert play.workflow_task.definition_fingerprint is None
    first = leased_to(play, F1)
    assert first.has_recorded
    assert first.run.definition_fingerprint == F1
    assert play.workflow_task.definition_fingerprint == F1
    play.completed(first.task, activity("charge"))
    assert play.run.definition_fingerprint == F1
    play.wake(signal("more"))
    assert play.workflow_task.definition_fingerprint == F1
    assert play.lease(play.workflow_task, "w2", fingerprint=F2) is None
    again = leased_to(play, F1, "w3")
    assert not again.has_recorded


def test_one_that_tells_nothing_records_nothing_and_goes_on_with_everything() -> None:
    play = started()
    play.completed(leased_to(play, None).task, activity("charge"))
    assert play.run.definition_fingerprint is None
    play.wake(signal("more"))
    # The first that tells one decides, be it late.
    play.completed(leased_to(play, F1).task, activity("refund"))
    play.wake(signal("more"))
    leased_to(play, None, "w2")
    assert play.run.definition_fingerprint == F1


def test_activities_know_nothing_of_it() -> None:
    play = started()
    play.completed(leased_to(play, F1).task, activity("charge"))
    (task,) = [
        task for task in play.state.tasks.values() if task.kind is TaskKind.ACTIVITY
    ]
    assert task.definition_fingerprint is None
    assert play.lease(task, "w2", fingerprint=F2) is not None
    assert play.run.definition_fingerprint == F1


def test_an_expired_lease_stays_with_it() -> None:
    play = started()
    task = leased_to(play, F1).task
    play.advance(60)
    assert play.decide(lambda draft: leases.expire(draft, play.task(task)))
    ready = play.workflow_task
    assert (ready.status, ready.definition_fingerprint) == (TaskStatus.READY, F1)
    repairs = ready.repair_count
    assert play.lease(ready, "w2", fingerprint=F2) is None
    assert play.workflow_task == ready
    assert ready.repair_count == repairs


def test_a_task_that_never_arrived_leaves_nothing() -> None:
    """Its worker is perhaps one that is just being replaced."""
    play = started()
    leased = leased_to(play, F1)
    assert play.decide(lambda draft: leases.give_back(draft, leased))
    assert play.run.definition_fingerprint is None
    assert play.workflow_task.definition_fingerprint is None
    assert leased_to(play, F2, "w2").has_recorded


def test_a_later_task_that_never_arrived_leaves_what_was_known() -> None:
    play = started()
    play.completed(leased_to(play, F1).task, activity("charge"))
    play.wake(signal("more"))
    leased = leased_to(play, F1)
    assert play.decide(lambda draft: leases.give_back(draft, leased))
    assert play.workflow_task.status is TaskStatus.READY
    assert play.workflow_task.definition_fingerprint == F1


def test_what_came_back_meanwhile_is_not_given_back_again() -> None:
    play = started()
    lost = leased_to(play, F1)
    play.advance(60)
    play.decide(lambda draft: leases.expire(draft, play.task(lost.task)))
    held = leased_to(play, F1, "w2").task
    assert not play.decide(lambda draft: leases.give_back(draft, lost))
    assert play.workflow_task == held
    assert play.run.definition_fingerprint == F1


def test_a_switch_lets_everybody_go_on() -> None:
    play = started(Policy(pins_definitions=False))
    play.completed(leased_to(play, F1).task, activity("charge"))
    play.wake(signal("more"))
    assert not leased_to(play, F2, "w2").has_recorded
    # It is known all the same, should the switch be turned back.
    assert play.run.definition_fingerprint == F1


def test_the_next_run_begins_without() -> None:
    play = started()
    play.completed(leased_to(play, F1).task, ContinueAsNew(arguments=avro("NEW=")))
    assert play.run.run_number == 2
    assert play.run.definition_fingerprint is None
    assert leased_to(play, F2, "w2").has_recorded


def test_children_and_their_retries_begin_without() -> None:
    play = started()
    policy = RetryPolicy(max_attempts=2, backoff_seconds=(30,))
    play.completed(leased_to(play, F1).task, child(retry_policy=policy))
    first = _child_task(play)
    assert first.definition_fingerprint is None
    leased = play.lease(first, "w2", fingerprint=F2)
    assert leased is not None
    play.completed(leased.task, FailWorkflow(message="no"))
    play.advance(30)
    again = _child_task(play)
    assert again.run_id != first.run_id
    assert again.definition_fingerprint is None
    assert play.lease(again, "w3", fingerprint=F1) is not None


def _child_task(play: Play) -> Task:
    """The ready workflow task of the newest run of the only child."""
    (call,) = play.here.children.values()
    (task,) = play.rows[call.child_run_id].state.tasks.values()
    return task

"""Heartbeats of activities (``spec/worker-protocol.md §9.5``, engine.md §7.5)."""

from __future__ import annotations

from typing import Any

import pytest

from dwserver.engine.commands.terminal import CompleteWorkflow
from dwserver.engine.leases import Leased
from dwserver.engine.lifecycle.heartbeat import HeartbeatState
from dwserver.engine.outcome import Rejection
from dwserver.engine.wire_time import MICROS
from dwserver.engine.words import CommandType, TaskStatus
from tests.engine.builders import (
    Play,
    after_commands,
)
from tests.engine.documents import activity_document, task_document
from tests.engine.endings import alive, beat, close, timed_out
from tests.engine.parts import (
    activity,
    at,
)

PROGRESS = {"message": "half", "current": 5, "total": 10.5, "details": {"k": "v"}}
RETRY_POLICY = {
    "snapshot_version": 1,
    "max_attempts": 2,
    "backoff_seconds": [],
    "start_to_close_timeout": None,
    "schedule_to_start_timeout": None,
    "schedule_to_close_timeout": None,
    "heartbeat_timeout": 10,
    "non_retryable_error_types": [],
}


def running(**policy: Any) -> tuple[Play, Leased]:
    play, _ = after_commands(activity("a", **policy))
    return play, play.poll_activity()


def test_the_whole_event() -> None:
    play, held = running(max_attempts=2, heartbeat_timeout=10)
    play.advance(2)
    state = alive(play, held, PROGRESS)
    step, task = play.here.activities[1], play.task(held.task)
    assert play.history()[4:] == [
        (
            "ActivityHeartbeatRecorded",
            {
                "activity_execution_id": step.id,
                "activity_attempt_id": held.task.attempt_id,
                "activity_class": "a",
                "activity_type": "a",
                "sequence": 1,
                "attempt_number": 1,
                "heartbeat_at": at(2),
                "lease_expires_at": at(302),
                "activity": activity_document(
                    step,
                    "a",
                    1,
                    status="running",
                    attempt_id=held.task.attempt_id,
                    attempt_count=1,
                    retry_policy=RETRY_POLICY,
                    last_heartbeat_at=at(2),
                    started_at=at(0),
                ),
                "activity_attempt": {
                    "id": held.task.attempt_id,
                    "attempt_number": 1,
                    "status": "running",
                    "task_id": held.task.id,
                    "lease_owner": "w1",
                    "last_heartbeat_at": at(2),
                    "lease_expires_at": at(302),
                    "started_at": at(0),
                },
                "progress": PROGRESS,
                "task": task_document(held.task),
            },
        )
    ]
    assert play.here.events[5].task_id == held.task.id
    assert (state.is_recorded, state.heartbeat_at) == (True, play.now)
    assert (state.task, state.activity) == (task, step)
    assert task.lease_expires_at == play.now + 300 * MICROS
    assert step.heartbeat_deadline_at == play.now + 10 * MICROS


def test_without_progress() -> None:
    play, held = running()
    alive(play, held)
    assert "progress" not in play.history()[-1][1]
    assert play.here.activities[1].heartbeat_deadline_at is None


def test_history_shows_one_a_second() -> None:
    """The renewal of the others is left to the caller, who has it in the reply."""
    play, held = running(heartbeat_timeout=10)
    shown = []
    for step in range(25):
        version = play.run.version
        state = alive(play, held)
        if state.is_recorded:
            shown.append(step)
        else:
            assert play.run.version == version
        assert state.heartbeat_at == play.now
        assert state.task.lease_expires_at == play.now + 300 * MICROS
        assert state.activity is not None
        assert state.activity.heartbeat_deadline_at == play.now + 10 * MICROS
        play.advance(0.1)
    assert shown == [0, 10, 20]
    assert play.event_types()[4:] == ["ActivityHeartbeatRecorded"] * 3


def test_a_new_attempt_begins_anew() -> None:
    play, held = running(max_attempts=2)
    alive(play, held)
    play.fail(held)
    assert play.here.activities[1].last_heartbeat_at is None
    again = play.poll_activity()
    assert alive(play, again).is_recorded


def test_an_attempt_that_is_given_out_again_begins_anew() -> None:
    play, held = running()
    alive(play, held)
    assert play.requeue(held.task)
    again = play.poll_activity(owner="w2")
    assert play.here.activities[1].last_heartbeat_at is None
    assert alive(play, again).is_recorded


def completed_run(play: Play, held: Leased) -> None:
    play.wake({"workflow_wait_kind": "signal"})
    play.completed(play.poll(), CompleteWorkflow())


def cancelled_run(play: Play, held: Leased) -> None:
    close(play)


def terminated_run(play: Play, held: Leased) -> None:
    close(play, CommandType.TERMINATE)


def closed_attempt(play: Play, held: Leased) -> None:
    play.succeed(held)


def timed_out_attempt(play: Play, held: Leased) -> None:
    play.advance(60)
    timed_out(play, 1)


def lost_lease(play: Play, held: Leased) -> None:
    play.requeue(held.task)


@pytest.mark.parametrize(
    ("happens", "reason", "is_cancelled"),
    [
        (cancelled_run, "run_cancelled", True),
        (terminated_run, "run_terminated", True),
        (completed_run, "run_closed", False),
        (closed_attempt, "attempt_closed", False),
        (timed_out_attempt, "attempt_closed", False),
        (lost_lease, "attempt_closed", False),
    ],
)
def test_why_an_activity_must_stop(
    happens: Any, reason: str, is_cancelled: bool
) -> None:
    play, held = running(start_to_close_timeout=60)
    happens(play, held)
    history, version = play.history(), play.run.version
    play.advance(1)
    state = beat(play, held, PROGRESS)
    assert isinstance(state, HeartbeatState)
    assert (state.reason, state.cancel_requested) == (reason, is_cancelled)
    assert not state.can_continue
    assert (state.heartbeat_at, state.is_recorded) == (None, False)
    assert (play.history(), play.run.version) == (history, version)


@pytest.mark.parametrize(
    ("fields", "reason"),
    [
        ({"owner": "w9"}, "lease_owner_mismatch"),
        ({"attempt_id": "nobody"}, "attempt_not_found"),
    ],
)
def test_whose_attempt_it_is(fields: dict[str, str], reason: str) -> None:
    play, held = running()
    reply = beat(play, held, **fields)
    assert isinstance(reply, Rejection)
    assert reply.reason == reason


def test_a_deadline_that_nobody_enforced_moves_all_the_same() -> None:
    play, held = running(heartbeat_timeout=10)
    play.advance(400)
    assert play.here.activities[1].heartbeat_deadline_at == (
        held.activity and held.activity.heartbeat_deadline_at
    )
    alive(play, held)
    assert play.here.activities[1].heartbeat_deadline_at == play.now + 10 * MICROS
    assert play.task(held.task).status is TaskStatus.LEASED

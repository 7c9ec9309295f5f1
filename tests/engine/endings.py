"""Verbs of a play for what ends runs and attempts from outside."""

from __future__ import annotations

from typing import Any

from dwserver.engine.leases import Leased
from dwserver.engine.lifecycle.activity_outcome import Report
from dwserver.engine.lifecycle.activity_timeout import (
    ActivityTimedOut,
    TimeoutSkip,
    time_out_activity,
)
from dwserver.engine.lifecycle.archive import ArchiveRequest, archive
from dwserver.engine.lifecycle.close import CloseRequest, close_on_request
from dwserver.engine.lifecycle.heartbeat import HeartbeatState, heartbeat
from dwserver.engine.lifecycle.operator import Decided, OperatorRequest
from dwserver.engine.lifecycle.repair import repair
from dwserver.engine.model import JsonMap, Task
from dwserver.engine.outcome import Rejection
from dwserver.engine.run_timeout import time_out_run
from dwserver.engine.words import CommandType
from tests.engine.builders import (
    Play,
)


def close(
    play: Play,
    command_type: CommandType = CommandType.CANCEL,
    *,
    run_id: str | None = None,
    **fields: Any,
) -> Decided:
    """Cancel, or ``command_type``; ``fields`` of the request."""
    request = CloseRequest(namespace="default", command_type=command_type, **fields)
    return play.decide(lambda draft: close_on_request(draft, request), run_id)


def archive_run(play: Play, run_id: str | None = None, **fields: Any) -> Decided:
    request = ArchiveRequest(namespace="default", **fields)
    return play.decide(lambda draft: archive(draft, request), run_id)


def repair_run(play: Play, run_id: str | None = None, **fields: Any) -> Decided:
    request = OperatorRequest(namespace="default", **fields)
    return play.decide(lambda draft: repair(draft, request), run_id)


def time_out(play: Play, run_id: str | None = None) -> bool:
    return play.decide(time_out_run, run_id)


def time_out_step(
    play: Play, step: int, run_id: str | None = None
) -> ActivityTimedOut | TimeoutSkip:
    return play.decide(lambda draft: time_out_activity(draft, step), run_id)


def timed_out(play: Play, step: int) -> ActivityTimedOut:
    """:func:`time_out_step` that must find a deadline passed."""
    reply = time_out_step(play, step)
    assert isinstance(reply, ActivityTimedOut), reply
    return reply


def beat(
    play: Play, held: Leased | Task, progress: JsonMap | None = None, **fields: Any
) -> HeartbeatState | Rejection:
    """A heartbeat of the attempt that was leased as ``held``, or of ``fields``."""
    task = held.task if isinstance(held, Leased) else held
    rows = play.rows[task.run_id]
    attempt_id = fields.pop("attempt_id", task.attempt_id)
    report = Report(
        task=rows.tasks[task.id],
        attempt_id=attempt_id,
        owner=fields.pop("owner", task.lease_owner),
        closed=rows.attempts.get(attempt_id),
    )
    return play.decide(lambda draft: heartbeat(draft, report, progress), task.run_id)


def alive(play: Play, held: Leased, progress: JsonMap | None = None) -> HeartbeatState:
    """:func:`beat` that is told to go on."""
    state = beat(play, held, progress)
    assert isinstance(state, HeartbeatState), state
    assert state.can_continue, state.reason
    return state

"""The hot state of a run: arrays of rows as records (see ``records.py``).

The element of an array begins with the number that commits give its row.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TypeVar

import orjson

from dwserver.engine.model import (
    Activity,
    Child,
    RetryPolicy,
    Run,
    RunState,
    Signal,
    Step,
    Timer,
    Update,
    Wait,
)
from dwserver.engine.rows import by_sequence, by_step
from dwserver.engine.words import (
    ActivityStatus,
    ChildStatus,
    ParentClosePolicy,
    SignalStatus,
    TimerKind,
    TimerStatus,
    UpdateStatus,
    WaitFor,
    WaitStatus,
)
from dwserver.store.postgres.records import (
    RUN_WIDTH,
    Columns,
    decode_optional_map,
    decode_payload,
    decode_run,
    decode_task,
    words_of,
)

_Step = TypeVar("_Step", bound=Step)
_Message = TypeVar("_Message", Signal, Update)

_ACTIVITY_STATUS = words_of(ActivityStatus)
_TIMER_STATUS = words_of(TimerStatus)
_TIMER_KIND = words_of(TimerKind)
_CHILD_STATUS = words_of(ChildStatus)
_CLOSE_POLICY = words_of(ParentClosePolicy)
_WAIT_FOR = words_of(WaitFor)
_WAIT_STATUS = words_of(WaitStatus)
_SIGNAL_STATUS = words_of(SignalStatus)
_UPDATE_STATUS = words_of(UpdateStatus)


def decode_rows(run: Run, parts: Mapping[str, Iterable[Columns]]) -> RunState:
    """A run with rows of its parts; tasks are none of them."""
    return RunState(
        run,
        activities=_by_step(map(_decode_activity, parts["activities"])),
        timers=_by_step(map(_decode_timer, parts["timers"])),
        children=_by_step(decode_child(child, 1) for child in parts["children"]),
        waits=_by_step(map(_decode_wait, parts["waits"])),
        signals=_by_sequence(map(_decode_signal, parts["signals"])),
        updates=_by_sequence(decode_update(row, 1) for row in parts["updates"]),
    )


def decode_run_state(row: Columns) -> RunState:
    """From the run's columns and the arrays of its rows."""
    (tasks, activities, timers, children, waits, signals, updates) = (
        row[RUN_WIDTH + n] for n in range(7)
    )
    return RunState(
        run=decode_run(row),
        tasks={
            task.id: task
            for task in sorted((decode_task(t, 1) for t in tasks), key=lambda t: t.id)
        },
        activities=_by_step(map(_decode_activity, activities)),
        timers=_by_step(map(_decode_timer, timers)),
        children=_by_step(decode_child(child, 1) for child in children),
        waits=_by_step(map(_decode_wait, waits)),
        signals=_by_sequence(map(_decode_signal, signals)),
        updates=_by_sequence(decode_update(update, 1) for update in updates),
    )


def _by_step(steps: Iterable[_Step]) -> dict[int, _Step]:
    return {step.step: step for step in sorted(steps, key=by_step)}


def _by_sequence(messages: Iterable[_Message]) -> dict[int, _Message]:
    return {m.sequence: m for m in sorted(messages, key=by_sequence)}


def _decode_activity(row: Columns) -> Activity:
    return Activity(
        id=row[1],
        run_id=row[2],
        step=row[3],
        batch=row[4],
        activity_type=row[5],
        status=_ACTIVITY_STATUS[row[6]],
        queue=row[7],
        payload_codec=row[8],
        digest=row[9],
        created_at=row[10],
        attempt_count=row[11],
        schedule_deadline_at=row[12],
        close_deadline_at=row[13],
        schedule_to_close_deadline_at=row[14],
        heartbeat_deadline_at=row[15],
        last_heartbeat_at=row[16],
        started_at=row[17],
        closed_at=row[18],
        is_held=row[19],
        retry_policy=_decode_policy(row[20]),
        parallel=decode_optional_map(row[21]),
    )


def _decode_timer(row: Columns) -> Timer:
    return Timer(
        id=row[1],
        run_id=row[2],
        step=row[3],
        batch=row[4],
        status=_TIMER_STATUS[row[5]],
        delay_seconds=row[6],
        fire_at=row[7],
        task_id=row[8],
        created_at=row[9],
        kind=_TIMER_KIND[row[10]],
        closed_at=row[11],
        is_held=row[12],
        parallel=decode_optional_map(row[13]),
    )


def decode_child(row: Columns, start: int = 0) -> Child:
    return Child(
        id=row[start],
        run_id=row[start + 1],
        step=row[start + 2],
        batch=row[start + 3],
        workflow_type=row[start + 4],
        status=_CHILD_STATUS[row[start + 5]],
        digest=row[start + 6],
        child_workflow_id=row[start + 7],
        child_run_id=row[start + 8],
        created_at=row[start + 9],
        child_run_number=row[start + 10],
        attempt_count=row[start + 11],
        parent_close_policy=_CLOSE_POLICY[row[start + 12]],
        closed_at=row[start + 13],
        is_held=row[start + 14],
        retry_policy=_decode_policy(row[start + 15]),
        parallel=decode_optional_map(row[start + 16]),
    )


def _decode_wait(row: Columns) -> Wait:
    return Wait(
        id=row[1],
        run_id=row[2],
        step=row[3],
        batch=row[4],
        wait_for=_WAIT_FOR[row[5]],
        status=_WAIT_STATUS[row[6]],
        opened_at=row[7],
        name=row[8],
        condition_key=row[9],
        fingerprint=row[10],
        timeout_seconds=row[11],
        closed_at=row[12],
        is_held=row[13],
        parallel=decode_optional_map(row[14]),
    )


def _decode_signal(row: Columns) -> Signal:
    return Signal(
        id=row[1],
        run_id=row[2],
        command_id=row[3],
        sequence=row[4],
        name=row[5],
        wait_id=row[6],
        status=_SIGNAL_STATUS[row[7]],
        received_at=row[8],
        event_sequence=row[9],
        step=row[10],
        applied_at=row[11],
    )


def decode_update(row: Columns, start: int = 0) -> Update:
    return Update(
        id=row[start],
        run_id=row[start + 1],
        command_id=row[start + 2],
        sequence=row[start + 3],
        name=row[start + 4],
        status=_UPDATE_STATUS[row[start + 5]],
        accepted_at=row[start + 6],
        request_id=row[start + 7],
        event_sequence=row[start + 8],
        step=row[start + 9],
        failure_id=row[start + 10],
        failure_message=row[start + 11],
        applied_at=row[start + 12],
        closed_at=row[start + 13],
        result=decode_payload(row[start + 14], row[start + 15]),
    )


def _decode_policy(value: bytes | None) -> RetryPolicy | None:
    if value is None:
        return None
    fields = orjson.loads(value)
    fields["backoff_seconds"] = tuple(fields["backoff_seconds"])
    fields["non_retryable_error_types"] = tuple(fields["non_retryable_error_types"])
    return RetryPolicy(**fields)

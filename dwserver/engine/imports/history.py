"""What the history of a bundle tells of the steps that its rows do not.

Which commands came together and make a batch, which event ended a step, when a wait
was over. All of it is found in one pass over the events.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from typing import Final

from dwserver.engine.imports.eligibility import Rule
from dwserver.engine.imports.payload_fields import integer, parallel_of, text
from dwserver.engine.imports.records import BundleEvent, InconsistentBundle
from dwserver.engine.model import JsonMap, Wait
from dwserver.engine.words import EventType, TimerKind, WaitFor, WaitStatus

_T: Final = EventType
# Events whose step is a step of its own, whether anything waits for it or not.
_NUMBERED: Final = frozenset(
    {
        _T.ACTIVITY_SCHEDULED,
        _T.TIMER_SCHEDULED,
        _T.CHILD_WORKFLOW_SCHEDULED,
        _T.CHILD_RUN_STARTED,
        _T.CONDITION_WAIT_OPENED,
        _T.SIGNAL_WAIT_OPENED,
        _T.SIDE_EFFECT_RECORDED,
        _T.VERSION_MARKER_RECORDED,
        _T.SEARCH_ATTRIBUTES_UPSERTED,
        _T.WORKFLOW_CONTINUED_AS_NEW,
    }
)
_CHILD_OPENED: Final = frozenset({_T.CHILD_WORKFLOW_SCHEDULED, _T.CHILD_RUN_STARTED})
# Events that open a step of a batch.
_OPENED: Final = frozenset(
    {
        _T.ACTIVITY_SCHEDULED,
        _T.TIMER_SCHEDULED,
        *_CHILD_OPENED,
        _T.CONDITION_WAIT_OPENED,
        _T.SIGNAL_WAIT_OPENED,
    }
)
# Events that end a step, and the member that names what has ended.
_ENDED: Final = {
    _T.ACTIVITY_COMPLETED: "activity_execution_id",
    _T.ACTIVITY_FAILED: "activity_execution_id",
    _T.ACTIVITY_TIMED_OUT: "activity_execution_id",
    _T.ACTIVITY_CANCELLED: "activity_execution_id",
    _T.TIMER_FIRED: "timer_id",
    _T.TIMER_CANCELLED: "timer_id",
}
CHILD_ENDED: Final = frozenset(
    {
        _T.CHILD_RUN_COMPLETED,
        _T.CHILD_RUN_FAILED,
        _T.CHILD_RUN_CANCELLED,
        _T.CHILD_RUN_TERMINATED,
    }
)
_WAIT_OPENED: Final = {
    _T.CONDITION_WAIT_OPENED: (WaitFor.CONDITION, "condition_wait_id"),
    _T.SIGNAL_WAIT_OPENED: (WaitFor.SIGNAL, "signal_wait_id"),
}
_TIMEOUTS: Final = frozenset({TimerKind.CONDITION_TIMEOUT, TimerKind.SIGNAL_TIMEOUT})


@dataclass(slots=True)
class Batch:
    """The blocking commands of one completion, by their steps; ``opened_at``: when
    the workflow task that asked for them completed."""

    opened_at: int
    task_id: str | None
    steps: list[int] = field(default_factory=list)

    @property
    def first(self) -> int:
        return self.steps[0]


@dataclass(slots=True)
class Told:
    """What one pass over the history finds.

    ``opened``: the event that opened a step. ``ended``: the event that ended an
    activity or a timer, by its id; ``child_ended``: a child, by its step.
    ``last_of_task``: the last event that a task is named by.
    """

    run_id: str
    last_step: int = 0
    batches: list[Batch] = field(default_factory=list)
    batch_of: dict[int, Batch] = field(default_factory=dict)
    opened: dict[int, BundleEvent] = field(default_factory=dict)
    ended: dict[str, BundleEvent] = field(default_factory=dict)
    child_ended: dict[int, BundleEvent] = field(default_factory=dict)
    waits: dict[int, Wait] = field(default_factory=dict)
    received: dict[str, BundleEvent] = field(default_factory=dict)
    last_of_task: dict[str, BundleEvent] = field(default_factory=dict)

    def parallel(self, step: int) -> JsonMap | None:
        event = self.opened.get(step)
        return None if event is None else parallel_of(event.payload)

    def first_of_batch(self, step: int) -> int:
        """A step that no event opened stands for itself."""
        batch = self.batch_of.get(step)
        return step if batch is None else batch.first


def read_history(run_id: str, events: Iterable[BundleEvent]) -> Told:
    told = Told(run_id)
    for event in events:
        _read(told, event)
    return told


def _read(told: Told, event: BundleEvent) -> None:
    kind, payload = event.event_type, event.payload
    if event.task_id is not None:
        told.last_of_task[event.task_id] = event
    step = integer(payload, "sequence")
    if step is not None and kind in _NUMBERED:
        told.last_step = max(told.last_step, step)
        if kind in _OPENED and not _is_timeout(payload):
            _open(told, event, step)
    if kind in _ENDED:
        ended = text(payload, _ENDED[kind])
        if ended is not None:
            told.ended[ended] = event
    elif kind in (_T.ACTIVITY_RETRY_SCHEDULED, _T.ACTIVITY_STARTED):
        # What came before was the end of an attempt only.
        told.ended.pop(text(payload, "activity_execution_id") or "", None)
    if kind in CHILD_ENDED and step is not None:
        told.child_ended[step] = event
    if kind in (_T.SIGNAL_RECEIVED, _T.UPDATE_ACCEPTED, _T.UPDATE_REJECTED):
        _receive(told, event)
    _end_wait(told, event, step)


def _is_timeout(payload: JsonMap) -> bool:
    return payload.get("timer_kind") in _TIMEOUTS


def _open(told: Told, event: BundleEvent, step: int) -> None:
    if step in told.opened:
        if event.event_type is _T.CHILD_RUN_STARTED:
            return
        text = f"Step {step} is opened again by event {event.sequence}."
        raise InconsistentBundle(Rule.STEP_REPEATED, text)
    told.opened[step] = event
    last = told.batches[-1] if told.batches else None
    if last is None or not _continues(told, last, event):
        # The workflow has gone on: what it waited for is over (§9.3).
        _close_open_waits(told, WaitStatus.CLOSED, at=event.recorded_at)
        last = Batch(event.recorded_at, event.task_id)
        told.batches.append(last)
    last.steps.append(step)
    told.batch_of[step] = last
    if event.event_type in _WAIT_OPENED:
        told.waits[step] = _wait(told, event, step, last.first)


def _continues(told: Told, batch: Batch, event: BundleEvent) -> bool:
    """The same workflow task asked for both. A history that names no task is taken by
    its groups, and by what was recorded at the same moment."""
    if event.task_id is not None or batch.task_id is not None:
        return event.task_id == batch.task_id
    group = event.payload.get("parallel_group_id")
    before = told.opened[batch.steps[-1]]
    if group is not None or "parallel_group_id" in before.payload:
        return group == before.payload.get("parallel_group_id")
    return event.recorded_at == batch.opened_at


def _wait(told: Told, event: BundleEvent, step: int, batch: int) -> Wait:
    wait_for, id_field = _WAIT_OPENED[event.event_type]
    payload = event.payload
    return Wait(
        id=text(payload, id_field) or event.id,
        run_id=told.run_id,
        step=step,
        batch=batch,
        wait_for=wait_for,
        status=WaitStatus.OPEN,
        opened_at=event.recorded_at,
        name=text(payload, "signal_name"),
        condition_key=text(payload, "condition_key"),
        fingerprint=text(payload, "condition_definition_fingerprint"),
        timeout_seconds=integer(payload, "timeout_seconds"),
        parallel=parallel_of(payload),
    )


# How events end waits, and the member that names the wait.
_WAIT_ENDED: Final = {
    _T.CONDITION_WAIT_SATISFIED: (WaitStatus.SATISFIED, "condition_wait_id"),
    _T.CONDITION_WAIT_TIMED_OUT: (WaitStatus.TIMED_OUT, "condition_wait_id"),
    _T.SIGNAL_APPLIED: (WaitStatus.SATISFIED, "signal_wait_id"),
}


def _end_wait(told: Told, event: BundleEvent, step: int | None) -> None:
    payload = event.payload
    status, id_field = _WAIT_ENDED.get(event.event_type, (None, ""))
    if event.event_type is _T.TIMER_FIRED and _is_timeout(payload):
        status = WaitStatus.TIMED_OUT
    if status is None:
        return
    wait = told.waits.get(step) if step is not None else None
    named = text(payload, id_field)
    if wait is None and named is not None:
        wait = next((w for w in told.waits.values() if w.id == named), None)
    if wait is not None and wait.is_open:
        ended = replace(wait, status=status, closed_at=event.recorded_at)
        told.waits[wait.step] = ended


def _close_open_waits(told: Told, status: WaitStatus, *, at: int) -> None:
    for step, wait in told.waits.items():
        if wait.is_open:
            told.waits[step] = replace(wait, status=status, closed_at=at)


def close_waits(told: Told, *, at: int) -> None:
    """The run has closed, and its waits with it."""
    _close_open_waits(told, WaitStatus.CLOSED, at=at)


def _receive(told: Told, event: BundleEvent) -> None:
    payload = event.payload
    names = (
        text(payload, "signal_id"),
        text(payload, "update_id"),
        event.command_id or text(payload, "workflow_command_id"),
    )
    for name in names:
        if name is not None:
            told.received.setdefault(name, event)

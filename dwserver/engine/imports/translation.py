"""From a bundle to the rows of our own model (``spec/history-bundles.md`` §5.5).

The rows of the bundle say what there is; its history says which steps belong together,
where messages stand, and what has ended how. Where both speak they must agree: an
outcome that no event tells would be lost to every replay.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Final, TypeVar

from dwserver.engine.context import Context
from dwserver.engine.imports.children import children_of
from dwserver.engine.imports.eligibility import Rule
from dwserver.engine.imports.history import Told, close_waits, read_history
from dwserver.engine.imports.payload_fields import integer, text
from dwserver.engine.imports.records import Bundle, BundleEvent, InconsistentBundle
from dwserver.engine.imports.steps import activity_of, check_outcomes, timer_of
from dwserver.engine.imports.tasks import tasks_of
from dwserver.engine.leases import after
from dwserver.engine.model import (
    Activity,
    Child,
    Event,
    Failure,
    JsonMap,
    Run,
    RunState,
    Signal,
    Step,
    Timer,
    Update,
)
from dwserver.engine.records import replace
from dwserver.engine.search_attributes import instant_of
from dwserver.engine.transition import RunChange, RunImport
from dwserver.engine.words import EventType, TimerKind

_S = TypeVar("_S", Activity, Timer, Child)
_M = TypeVar("_M", Signal, Update)

_CLOSING: Final = frozenset(
    {
        EventType.WORKFLOW_FAILED,
        EventType.WORKFLOW_CANCELLED,
        EventType.WORKFLOW_TERMINATED,
        EventType.WORKFLOW_TIMED_OUT,
        EventType.UPDATE_COMPLETED,
    }
)


def translate(bundle: Bundle, mark: RunImport, context: Context) -> RunChange:
    """The rows of the run as the change that makes it.

    Raises :class:`InconsistentBundle`. ``context`` gives ids to what has none in the
    bundle.
    """
    told = read_history(bundle.run.id, bundle.events)
    run = _run(bundle, told)
    if run.closed_at is not None:
        close_waits(told, at=run.closed_at)
    activities = [
        replace(new, activity=activity_of(new, bundle, told))
        for new in bundle.activities
    ]
    timers = [
        timer_of(timer, bundle, told, new_id=context.next_id())
        for timer in bundle.timers
    ]
    children = children_of(run, bundle.events, told, linked=bundle.children)
    steps = [new.activity for new in activities]
    run = _with_batch(run, told, (*steps, *timers, *children))
    rows = RunState(
        run,
        {},
        _by_step(steps),
        _by_step(timers),
        _by_step(children),
        told.waits,
        _by_sequence(_placed(signal, told, run) for signal in bundle.signals),
        _by_sequence(
            _told_update(_placed(update, told, run), told) for update in bundle.updates
        ),
    )
    check_outcomes(rows, told)
    return RunChange(
        base_version=None,
        run=run,
        input=bundle.input,
        output=bundle.output,
        events=tuple(map(_event, bundle.events)),
        new_tasks=tuple(tasks_of(bundle, rows, told, context=context)),
        new_activities=tuple(activities),
        attempts=bundle.attempts,
        new_timers=tuple(timers),
        new_children=tuple(children),
        new_waits=tuple(told.waits.values()),
        new_signals=tuple(rows.signals.values()),
        new_updates=tuple(rows.updates.values()),
        commands=bundle.commands,
        failures=_failures(bundle),
        imported=mark,
    )


def _event(event: BundleEvent) -> Event:
    return Event(
        id=event.id,
        sequence=event.sequence,
        event_type=event.event_type,
        payload=event.text,
        recorded_at=event.recorded_at,
        task_id=event.task_id,
        command_id=event.command_id,
    )


# the run ------------------------------------------------------------------------
def _run(bundle: Bundle, told: Told) -> Run:
    run, lineage = bundle.run, bundle.lineage
    started = next(
        (e for e in bundle.events if e.event_type is EventType.WORKFLOW_STARTED), None
    )
    payload: JsonMap = started.payload if started else {}
    continued_from = (
        text(payload, "continued_from_run_id") or lineage.continued_from_run_id
    )
    execution_timeout = integer(payload, "execution_timeout_seconds")
    run_timeout = integer(payload, "run_timeout_seconds")
    highest = bundle.events[-1].sequence if bundle.events else 0
    return replace(
        run,
        last_sequence=max(run.last_sequence, highest),
        last_step=told.last_step,
        history_bytes=sum(len(event.text) for event in bundle.events),
        command_sequence=max((c.sequence for c in bundle.commands), default=0),
        execution_timeout_seconds=execution_timeout,
        run_timeout_seconds=run_timeout,
        execution_deadline_at=_execution_deadline(run, payload, execution_timeout),
        run_deadline_at=after(run.started_at, run_timeout),
        continued_from_run_id=continued_from,
        parent_run_id=text(payload, "parent_workflow_run_id") or lineage.parent_run_id,
        parent_step=integer(payload, "parent_sequence") or lineage.parent_step,
        # Whether an earlier run has left children open is not in the bundle of this
        # one; when it closes, it is looked for (§8).
        inherits_children=continued_from is not None,
    )


def _execution_deadline(run: Run, payload: JsonMap, seconds: int | None) -> int | None:
    """The event tells it to the second; of a first run it can be known exactly."""
    if seconds is None:
        return None
    if run.run_number == 1:
        return after(run.started_at, seconds)
    told = text(payload, "execution_deadline_at")
    return instant_of(told) if told is not None else None


def _by_step(steps: Iterable[_S]) -> dict[int, _S]:
    found: dict[int, _S] = {}
    for step in steps:
        if step.step in found:
            problem = f"There are two rows of step {step.step}."
            raise InconsistentBundle(Rule.STEP_REPEATED, problem)
        found[step.step] = step
    return found


def _with_batch(run: Run, told: Told, steps: Sequence[Activity | Timer | Child]) -> Run:
    """The newest batch, and which event ended the last of its members (§10)."""
    if not told.batches:
        return run
    newest = told.batches[-1]
    members = [
        step
        for step in steps
        if step.batch == newest.first and not _is_timeout_of_wait(step)
    ]
    resolved = 0
    if members and not any(member.is_open for member in members):
        resolved = max(_ended_at(member, told) for member in members)
    return replace(
        run,
        batch_first=newest.first,
        batch_size=len(newest.steps),
        batch_resolved_sequence=resolved,
    )


def _is_timeout_of_wait(step: Step) -> bool:
    return isinstance(step, Timer) and step.kind is not TimerKind.PLAIN


def _ended_at(step: Activity | Timer | Child, told: Told) -> int:
    ended = (
        told.child_ended.get(step.step)
        if isinstance(step, Child)
        else told.ended.get(step.id)
    )
    return ended.sequence if ended is not None else 0


# messages and failures ----------------------------------------------------------
def _by_sequence(messages: Iterable[_M]) -> dict[int, _M]:
    found: dict[int, _M] = {}
    for message in messages:
        if message.sequence in found:
            problem = f"Two messages came with command {message.sequence}."
            raise InconsistentBundle(Rule.ROW_INVALID, problem)
        found[message.sequence] = message
    return found


def _placed(message: _M, told: Told, run: Run) -> _M:
    """Where it stands in history; what is open is still to be shown to a worker."""
    event = told.received.get(message.id) or told.received.get(message.command_id)
    if event is not None:
        return replace(message, event_sequence=event.sequence)
    if message.is_open and not run.status.is_terminal:
        problem = f"No event tells of the message {message.id}, which is open."
        raise InconsistentBundle(Rule.OUTCOME_NOT_IN_HISTORY, problem)
    return message


def _told_update(update: Update, told: Told) -> Update:
    event = told.received.get(update.id)
    request_id = text(event.payload, "request_id") if event is not None else None
    return replace(update, request_id=update.request_id or request_id)


def _failures(bundle: Bundle) -> tuple[Failure, ...]:
    """Of what ended the run or an update, with the event that says so."""
    told = {
        text(event.payload, "failure_id"): event.sequence
        for event in bundle.events
        if event.event_type in _CLOSING
    }
    return tuple(
        replace(failure, event_sequence=told.get(failure.id))
        for failure in bundle.failures
    )

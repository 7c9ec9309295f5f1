"""What every history must obey, whoever made it (``spec/engine.md §17``)."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

# A step is opened by one event and resolved by at most one; all its events carry its
# number in ``payload.sequence`` (decision 20a).
OPENINGS = frozenset(
    {
        "ActivityScheduled",
        "TimerScheduled",
        "ChildWorkflowScheduled",
        "ConditionWaitOpened",
        "SignalWaitOpened",
    }
)
RESOLUTIONS = frozenset(
    {
        "ActivityCompleted",
        "ActivityFailed",
        "ActivityTimedOut",
        "ActivityCancelled",
        "TimerFired",
        "TimerCancelled",
        "ChildRunCompleted",
        "ChildRunFailed",
        "ChildRunCancelled",
        "ChildRunTerminated",
        "ConditionWaitSatisfied",
        "ConditionWaitTimedOut",
    }
)
# Steps that one event opens and resolves at once.
MARKERS = frozenset(
    {
        "SideEffectRecorded",
        "VersionMarkerRecorded",
        "SearchAttributesUpserted",
        "MemoUpserted",
        "WorkflowContinuedAsNew",
    }
)
# The timer of a wait carries the wait's own step number.
TIMERS_OF_WAITS = frozenset({"condition_timeout", "signal_timeout"})
TERMINAL = frozenset(
    {
        "WorkflowCompleted",
        "WorkflowFailed",
        "WorkflowCancelled",
        "WorkflowTerminated",
        "WorkflowTimedOut",
        "WorkflowContinuedAsNew",
    }
)
AFTER_TERMINAL = frozenset(
    {
        "StartRejected",
        "UpdateCompleted",
        "ParentClosePolicyApplied",
        "ParentClosePolicyFailed",
        "ArchiveRequested",
        "WorkflowArchived",
        "ScheduleTriggered",
    }
)


@dataclass(frozen=True, slots=True)
class HistoryEvent:
    sequence: int
    event_type: str
    payload: Mapping[str, Any]

    @property
    def step(self) -> int | None:
        """Number of the workflow step that the event belongs to."""
        if self.payload.get("timer_kind") in TIMERS_OF_WAITS:
            return None
        if self.event_type not in OPENINGS | RESOLUTIONS | MARKERS:
            return None
        return int(self.payload["sequence"])


def from_wire(events: Sequence[Mapping[str, Any]]) -> list[HistoryEvent]:
    """Events as the HTTP routes show them."""
    return [
        HistoryEvent(event["sequence"], event["event_type"], event["payload"])
        for event in events
    ]


def history_problems(events: Sequence[HistoryEvent]) -> list[str]:
    """Every rule that a history breaks, in words; empty when it is sound."""
    return [
        *_numbering(events),
        *_steps(events),
        *_attempts(events),
        *_end(events),
    ]


def _numbering(events: Sequence[HistoryEvent]) -> Iterator[str]:
    numbers = [event.sequence for event in events]
    if numbers != list(range(1, len(numbers) + 1)):
        yield f"event numbers are not 1 to {len(numbers)}: {numbers}"


def _steps(events: Sequence[HistoryEvent]) -> Iterator[str]:
    opened: list[int] = []
    resolved: set[int] = set()
    for event in events:
        step = event.step
        if step is None:
            continue
        if event.event_type in OPENINGS | MARKERS:
            opened.append(step)
        elif step in resolved:
            yield f"step {step} is resolved again by event {event.sequence}"
        elif step not in opened:
            yield f"step {step} is resolved before it is opened"
        if event.event_type in RESOLUTIONS:
            resolved.add(step)
    if opened != list(range(1, len(opened) + 1)):
        yield f"steps are not opened as 1 to {len(opened)}: {opened}"


def _attempts(events: Sequence[HistoryEvent]) -> Iterator[str]:
    last: Counter[int] = Counter()
    for event in events:
        if event.event_type != "ActivityStarted":
            continue
        step, attempt = event.payload["sequence"], event.payload["attempt_number"]
        if attempt <= last[step]:
            yield f"attempt {attempt} of step {step} follows attempt {last[step]}"
        last[step] = attempt


def _end(events: Sequence[HistoryEvent]) -> Iterator[str]:
    names = [event.event_type for event in events]
    ends = [index for index, name in enumerate(names) if name in TERMINAL]
    if len(ends) > 1:
        yield f"the run ends {len(ends)} times"
    if ends:
        late = [name for name in names[ends[0] + 1 :] if name not in AFTER_TERMINAL]
        yield from (f"{name} follows the end of the run" for name in late)

"""Structural limits of a completion (``spec/engine.md §12``)."""

from __future__ import annotations

from collections.abc import Sequence

from dwserver.engine.background import Background
from dwserver.engine.commands import markers
from dwserver.engine.commands.activities import ScheduleActivity
from dwserver.engine.commands.children import StartChildWorkflow
from dwserver.engine.commands.kinds import (
    TERMINAL,
    WAITS,
    OpenCommand,
    WorkflowCommand,
)
from dwserver.engine.commands.timers import StartTimer
from dwserver.engine.commands.updates import CompleteUpdate
from dwserver.engine.draft import Draft
from dwserver.engine.outcome import Rejection


def check_limits(
    draft: Draft,
    commands: Sequence[WorkflowCommand],
    *,
    new: Sequence[OpenCommand],
    background: Background,
) -> Rejection | None:
    """``new``: the commands that will be applied; those sent again add nothing."""
    limits = draft.context.policy.limits
    activities_after = sum(a.is_open for a in draft.activities.values()) + sum(
        isinstance(command, ScheduleActivity) for command in new
    )
    timers_after = sum(t.is_open for t in draft.timers.values()) + sum(
        isinstance(command, StartTimer) or _has_timeout(command) for command in new
    )
    children_started = sum(isinstance(command, StartChildWorkflow) for command in new)
    children_after = children_started + sum(
        child.is_open for child in draft.children.values()
    )
    is_closing = bool(commands) and isinstance(commands[-1], TERMINAL)
    written = sum(map(_events_of, new)) + is_closing
    checks = (
        ("command_batch_size", len(commands), limits.command_batch_size),
        ("history_transaction_size", written, limits.history_transaction_size),
        ("pending_activity_count", activities_after, limits.pending_activities),
        ("pending_child_count", children_after, limits.pending_children),
        ("pending_timer_count", timers_after, limits.pending_timers),
        (
            "history_event_count",
            draft.last_sequence + written,
            0 if is_closing else limits.history_events,
        ),
        *markers.search_attribute_sizes(draft, new, background),
    )
    for kind, value, limit in checks:
        if 0 < limit < value:
            return Rejection(
                "structural_limit_exceeded",
                f"The completion would exceed the limit {kind} of {limit}.",
                {"limit_kind": kind, "current_value": value, "configured_limit": limit},
            )
    return None


def _has_timeout(command: OpenCommand) -> bool:
    return isinstance(command, WAITS) and command.timeout_seconds is not None


def _events_of(command: OpenCommand) -> int:
    """How many events a command writes at once, at most."""
    writes_two = isinstance(command, CompleteUpdate | StartChildWorkflow)
    return 1 + (writes_two or _has_timeout(command))

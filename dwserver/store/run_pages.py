"""How a page of the run list is found, whatever the dialect.

The most telling condition chooses an index; the others are checked on the rows that it
leads to. Every index but those of ids has the order of the list, so that the position
of a page is a bound of its search and a page costs the same wherever it begins.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import IntEnum, auto
from typing import Final

from dwserver.engine.run_conditions import (
    Condition,
    Operator,
    RunColumn,
    RunCondition,
    Value,
)
from dwserver.engine.search_attributes import ORDERED_TYPES
from dwserver.engine.words import RunStatus, StatusBucket
from dwserver.store.api import RunCursor, RunFilter

_BEFORE_ALL: Final = 2**63 - 1
_AFTER_ALL: Final = -(2**63)
# A run may seem to close before it starts where the clocks of two nodes differ.
_CLOCK_MARGIN: Final = 3_600_000_000
# More values than these are checked on the rows: each of them costs a search.
MAX_BRANCHES: Final = 16

_BUCKETS: Final = {status.value: status.bucket.value for status in RunStatus}
_CLOSED: Final = frozenset(StatusBucket) - {StatusBucket.RUNNING}


class Lead(IntEnum):
    """Which index leads to the runs of a page, the most telling first."""

    RUN_ID = auto()
    WORKFLOW_ID = auto()
    ATTRIBUTE_TERM = auto()
    ATTRIBUTE_NUMBER = auto()
    WORKFLOW_TYPE = auto()
    BUCKET = auto()


_LEADS: Final = {
    RunColumn.RUN_ID: Lead.RUN_ID,
    RunColumn.WORKFLOW_ID: Lead.WORKFLOW_ID,
    RunColumn.WORKFLOW_TYPE: Lead.WORKFLOW_TYPE,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class RunPage:
    """What a page asks for.

    ``leading``: the condition whose index is followed; None: the index of the
    ``buckets``, which are those that can have runs of the page. ``rest``: conditions to
    check on each row. Runs of the page come behind ``last`` and have not started
    before ``floor``.
    """

    lead: Lead
    leading: Condition | None
    rest: tuple[Condition, ...]
    buckets: tuple[str, ...]
    last: tuple[int, str]
    floor: int


def plan_page(run_filter: RunFilter, after: RunCursor | None) -> RunPage:
    """Choose the way to a page; no buckets: no run can match."""
    conditions = _conditions(run_filter)
    last, floor = _bounds(conditions, after)
    leading = min(conditions, key=_lead_of, default=None)
    lead = Lead.BUCKET if leading is None else _lead_of(leading)
    if lead is Lead.BUCKET:
        # The buckets themselves say what a condition about them would.
        rest = [c for c in conditions if not _is_about_bucket(c)]
        leading = None
    else:
        rest = [c for c in conditions if c is not leading]
    return RunPage(
        lead=lead,
        leading=leading,
        rest=tuple(rest),
        buckets=_buckets(conditions),
        last=last,
        floor=floor,
    )


def _conditions(run_filter: RunFilter) -> list[Condition]:
    found = list(run_filter.conditions)
    if run_filter.workflow_type is not None:
        found.append(_equals(RunColumn.WORKFLOW_TYPE, run_filter.workflow_type))
    if run_filter.bucket is not None:
        found.append(_equals(RunColumn.STATUS_BUCKET, run_filter.bucket.value))
    return found


def _equals(column: RunColumn, value: Value) -> RunCondition:
    return RunCondition(column, Operator.EQ, (value,))


def _is_about_bucket(condition: Condition) -> bool:
    return (
        isinstance(condition, RunCondition)
        and condition.column is RunColumn.STATUS_BUCKET
    )


def _lead_of(condition: Condition) -> Lead:
    if isinstance(condition, RunCondition):
        is_searched = (
            condition.operator is Operator.EQ and len(condition.values) <= MAX_BRANCHES
        )
        return _LEADS.get(condition.column, Lead.BUCKET) if is_searched else Lead.BUCKET
    if condition.type in ORDERED_TYPES:
        return Lead.ATTRIBUTE_NUMBER
    is_searched = (
        condition.operator is Operator.EQ and len(condition.values) <= MAX_BRANCHES
    )
    return Lead.ATTRIBUTE_TERM if is_searched else Lead.BUCKET


def _buckets(conditions: Sequence[Condition]) -> tuple[str, ...]:
    """The buckets in which runs can fulfil the conditions."""
    found = {bucket.value for bucket in StatusBucket}
    for condition in conditions:
        if not isinstance(condition, RunCondition):
            continue
        if condition.column is RunColumn.STATUS_BUCKET:
            named = {str(value) for value in condition.values}
            found &= named if condition.operator is Operator.EQ else found - named
        elif condition.column is RunColumn.CLOSED_AT:
            found &= _CLOSED
        elif condition.column is RunColumn.STATUS and condition.operator is Operator.EQ:
            found &= {_BUCKETS.get(str(value), "") for value in condition.values}
    return tuple(sorted(found))


def _bounds(
    conditions: Sequence[Condition], after: RunCursor | None
) -> tuple[tuple[int, str], int]:
    """Runs of the page come behind the first in the list, and not behind the second:
    the instant at which the oldest of them started."""
    last = (_BEFORE_ALL, "") if after is None else (after.started_at, after.run_id)
    floor = _AFTER_ALL
    for condition in conditions:
        if not isinstance(condition, RunCondition):
            continue
        low, high = _range(condition)
        if condition.column is RunColumn.STARTED_AT:
            floor = max(floor, low)
            last = min(last, (min(high + 1, _BEFORE_ALL), ""))
        elif condition.column is RunColumn.CLOSED_AT:
            last = min(last, (min(high + _CLOCK_MARGIN, _BEFORE_ALL), ""))
    return last, floor


def _range(condition: RunCondition) -> tuple[int, int]:
    """The least and the greatest instant that can fulfil it."""
    instants = [value for value in condition.values if isinstance(value, int)]
    if not instants:
        return _AFTER_ALL, _BEFORE_ALL
    match condition.operator:
        case Operator.EQ:
            return min(instants), max(instants)
        case Operator.GE:
            return instants[0], _BEFORE_ALL
        case Operator.GT:
            return instants[0] + 1, _BEFORE_ALL
        case Operator.LE:
            return _AFTER_ALL, instants[0]
        case Operator.LT:
            return _AFTER_ALL, instants[0] - 1
        case _:
            return _AFTER_ALL, _BEFORE_ALL

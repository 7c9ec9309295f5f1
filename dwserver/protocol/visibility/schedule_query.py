"""Queries about schedules: the grammar of those about runs, other fields.

A field that nobody has defined is no error: nothing matches. A schedule without a value
fulfils no condition about it, a negated one neither.
"""

from __future__ import annotations

import operator
from collections.abc import Callable, Mapping
from typing import Any, Final

from dwserver.engine.model.schedules import Schedule
from dwserver.engine.run_conditions import Operator, Value
from dwserver.engine.search_attributes import AttributeType, instant_of
from dwserver.protocol.visibility.conditions import values_of
from dwserver.protocol.visibility.grammar import Predicate, is_visibility_query, parse

Accepts = Callable[[Schedule], bool]

_FIELDS: Final[Mapping[str, tuple[Callable[[Schedule], Any], AttributeType]]] = {
    "ScheduleId": (lambda s: s.schedule_id, AttributeType.KEYWORD),
    "WorkflowType": (lambda s: s.workflow_type, AttributeType.KEYWORD),
    "TaskQueue": (lambda s: s.action.get("task_queue"), AttributeType.KEYWORD),
    "Status": (lambda s: s.status.value, AttributeType.KEYWORD),
    "ScheduleStatus": (lambda s: s.status.value, AttributeType.KEYWORD),
    "OverlapPolicy": (lambda s: s.overlap_policy.value, AttributeType.KEYWORD),
    "CreatedAt": (lambda s: s.created_at, AttributeType.DATETIME),
    "UpdatedAt": (lambda s: s.updated_at, AttributeType.DATETIME),
    "NextFireAt": (lambda s: s.next_fire_at, AttributeType.DATETIME),
    "LastFiredAt": (lambda s: s.last_fired_at, AttributeType.DATETIME),
}
_COMPARISONS: Final[Mapping[Operator, Callable[[Any, Any], bool]]] = {
    Operator.GE: operator.ge,
    Operator.LE: operator.le,
    Operator.GT: operator.gt,
    Operator.LT: operator.lt,
}


def read_schedule_query(text: str, types: Mapping[str, str]) -> Accepts:
    """Whether a schedule fulfils the query; text that is none is searched for in the
    id. ``types``: the search attributes that the namespace has defined. Raises
    InvalidQuery."""
    if not is_visibility_query(text):
        return lambda schedule: text in schedule.schedule_id
    conditions = [_condition(predicate, types) for predicate in parse(text)]
    return lambda schedule: all(holds(schedule) for holds in conditions)


def _condition(predicate: Predicate, types: Mapping[str, str]) -> Accepts:
    field = predicate.field
    if field in _FIELDS:
        read, value_type = _FIELDS[field]
    elif field in types:
        value_type = AttributeType(types[field])
        read = _attribute(field, value_type)
    else:
        return lambda schedule: False
    wanted = values_of(predicate, value_type)
    return lambda schedule: _holds(read(schedule), predicate.operator, wanted)


def _attribute(name: str, value_type: AttributeType) -> Callable[[Schedule], Any]:
    def read(schedule: Schedule) -> Any:
        value = schedule.search_attributes.get(name)
        if value_type is AttributeType.DATETIME:
            return instant_of(value) if isinstance(value, str) else None
        return value

    return read


def _holds(value: Any, comparison: Operator, wanted: tuple[Value, ...]) -> bool:
    if value is None:
        return False
    if comparison.is_equality:
        values = value if isinstance(value, list | tuple) else [value]
        is_any = any(_is_same(each, other) for each in values for other in wanted)
        return is_any is (comparison is Operator.EQ)
    [bound] = wanted
    is_comparable = isinstance(value, int | float) and not isinstance(value, bool)
    return is_comparable and _COMPARISONS[comparison](value, bound)


def _is_same(value: Any, wanted: Value) -> bool:
    """``true`` is no number."""
    return isinstance(value, bool) is isinstance(wanted, bool) and value == wanted

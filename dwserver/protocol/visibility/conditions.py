"""Predicates with their types: what the runs of a list must fulfil.

A field that nobody has defined is no error: nothing matches.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Final

from dwserver.engine.run_conditions import (
    AttributeCondition,
    Condition,
    Operator,
    RunColumn,
    RunCondition,
    Value,
)
from dwserver.engine.search_attributes import (
    ORDERED_TYPES,
    AttributeType,
    instant_of,
)
from dwserver.engine.words import StatusBucket
from dwserver.protocol.visibility.grammar import (
    Literal,
    LiteralKind,
    Predicate,
    parse,
)
from dwserver.protocol.visibility.problems import InvalidQuery, Problem

_SYSTEM_FIELDS: Final[Mapping[str, tuple[RunColumn, AttributeType]]] = {
    "WorkflowType": (RunColumn.WORKFLOW_TYPE, AttributeType.KEYWORD),
    "WorkflowId": (RunColumn.WORKFLOW_ID, AttributeType.KEYWORD),
    "RunId": (RunColumn.RUN_ID, AttributeType.KEYWORD),
    "TaskQueue": (RunColumn.TASK_QUEUE, AttributeType.KEYWORD),
    "BuildId": (RunColumn.COMPATIBILITY, AttributeType.KEYWORD),
    "BuildIds": (RunColumn.COMPATIBILITY, AttributeType.KEYWORD),
    "StartTime": (RunColumn.STARTED_AT, AttributeType.DATETIME),
    "ExecutionTime": (RunColumn.STARTED_AT, AttributeType.DATETIME),
    "CloseTime": (RunColumn.CLOSED_AT, AttributeType.DATETIME),
}
_STATUS_FIELDS: Final = frozenset({"Status", "ExecutionStatus"})
_INT64: Final = range(-(1 << 63), 1 << 63)


def read_query(text: str, types: Mapping[str, str]) -> tuple[Condition, ...] | None:
    """The conditions of a query, all of which must hold; None: nothing can match.

    ``types``: the search attributes that the namespace has defined. Raises
    InvalidQuery.
    """
    found = [_condition(predicate, types) for predicate in parse(text)]
    known = tuple(condition for condition in found if condition is not None)
    return known if len(known) == len(found) else None


def _condition(predicate: Predicate, types: Mapping[str, str]) -> Condition | None:
    field = predicate.field
    if field in _STATUS_FIELDS:
        return _status_condition(predicate)
    system = _SYSTEM_FIELDS.get(field)
    if system is not None:
        column, value_type = system
        values = values_of(predicate, value_type)
        return RunCondition(column, predicate.operator, values)
    declared = types.get(field)
    if declared is None:
        return None
    value_type = AttributeType(declared)
    values = values_of(predicate, value_type)
    return AttributeCondition(field, value_type, predicate.operator, values)


def _status_condition(predicate: Predicate) -> RunCondition:
    """The word of a bucket means all statuses in it."""
    if predicate.is_list or not predicate.operator.is_equality:
        raise InvalidQuery(Problem.EQUALITY_ONLY, predicate.field)
    [word] = values_of(predicate, AttributeType.KEYWORD)
    status = str(word).lower()
    is_bucket = status in frozenset(StatusBucket)
    column = RunColumn.STATUS_BUCKET if is_bucket else RunColumn.STATUS
    return RunCondition(column, predicate.operator, (status,))


def values_of(predicate: Predicate, value_type: AttributeType) -> tuple[Value, ...]:
    """The literals as values of the type, each once; raises InvalidQuery."""
    field, operator = predicate.field, predicate.operator
    if not operator.is_equality and value_type not in ORDERED_TYPES:
        raise InvalidQuery(Problem.EQUALITY_ONLY, field)
    if not predicate.literals:
        if value_type is not AttributeType.BOOL:
            raise InvalidQuery(Problem.NO_PREDICATE)
        return (True,)
    is_negated_list = predicate.is_list and operator is Operator.NE
    if is_negated_list and value_type is AttributeType.KEYWORD_LIST:
        raise InvalidQuery(Problem.NO_NEGATED_IN, field)
    return _distinct(
        [_value(literal, value_type, field) for literal in predicate.literals]
    )


def _distinct(values: Sequence[Value]) -> tuple[Value, ...]:
    return tuple(dict.fromkeys(values))


def _value(literal: Literal, value_type: AttributeType, field: str) -> Value:
    match value_type:
        case AttributeType.KEYWORD | AttributeType.TEXT | AttributeType.KEYWORD_LIST:
            return literal.text
        case AttributeType.INT:
            return _integer(literal, field)
        case AttributeType.DOUBLE:
            return _number(literal, field)
        case AttributeType.BOOL:
            if literal.kind is LiteralKind.BOOLEAN:
                return literal.text.lower() == "true"
            raise InvalidQuery(Problem.NEEDS_BOOLEAN, field)
        case AttributeType.DATETIME:
            at = instant_of(literal.text)
            if at is None:
                raise InvalidQuery(Problem.NEEDS_INSTANT, field)
            return at


def _integer(literal: Literal, field: str) -> int:
    is_integer = literal.kind is LiteralKind.INTEGER and len(literal.text) <= 20
    if not is_integer or (number := int(literal.text)) not in _INT64:
        raise InvalidQuery(Problem.NEEDS_INTEGER, field)
    return number


def _number(literal: Literal, field: str) -> float:
    if literal.kind in {LiteralKind.INTEGER, LiteralKind.FLOAT}:
        number = float(literal.text)
        if math.isfinite(number):
            return number
    raise InvalidQuery(Problem.NEEDS_NUMBER, field)

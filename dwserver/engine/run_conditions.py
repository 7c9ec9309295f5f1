"""What a list may demand of the runs that it shows.

A run without a value fulfils no condition about it, a negated one neither.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Final, TypeAlias

from dwserver.engine.search_attributes import AttributeType

Value: TypeAlias = str | int | float | bool


class Operator(StrEnum):
    """A comparison. With several values, EQ means any of them and NE none of them."""

    EQ = "="
    NE = "!="
    GE = ">="
    LE = "<="
    GT = ">"
    LT = "<"

    @property
    def inverse(self) -> Operator:
        return _INVERSES[self]

    @property
    def is_equality(self) -> bool:
        return self in {Operator.EQ, Operator.NE}


_INVERSES: Final = {
    Operator.EQ: Operator.NE,
    Operator.NE: Operator.EQ,
    Operator.GE: Operator.LT,
    Operator.LT: Operator.GE,
    Operator.LE: Operator.GT,
    Operator.GT: Operator.LE,
}


class RunColumn(StrEnum):
    """What a condition may ask of a run; the words are columns of the store."""

    WORKFLOW_TYPE = "workflow_type"
    WORKFLOW_ID = "workflow_id"
    RUN_ID = "id"
    TASK_QUEUE = "task_queue"
    COMPATIBILITY = "compatibility"
    STATUS = "status"
    STATUS_BUCKET = "status_bucket"
    STARTED_AT = "started_at"
    CLOSED_AT = "closed_at"


@dataclass(frozen=True, slots=True)
class RunCondition:
    """On a column of the run; instants are epoch microseconds."""

    column: RunColumn
    operator: Operator
    values: tuple[Value, ...]


@dataclass(frozen=True, slots=True)
class AttributeCondition:
    """On a search attribute, compared as ``type``; instants are epoch microseconds.
    A list fulfils EQ when it has any of the values, NE when it has none. A value of
    another type counts as none."""

    name: str
    type: AttributeType
    operator: Operator
    values: tuple[Value, ...]


Condition: TypeAlias = RunCondition | AttributeCondition

"""Conditions of the run list, against a plain reading of what they mean."""

from __future__ import annotations

import operator
from collections.abc import Callable
from dataclasses import dataclass, replace
from random import Random
from typing import Any

import pytest

from dwserver.engine.model import Run, RunInput
from dwserver.engine.run_conditions import (
    AttributeCondition,
    Condition,
    Operator,
    RunColumn,
    RunCondition,
)
from dwserver.engine.search_attributes import AttributeType, instant_of
from dwserver.engine.transition import RunChange, Transition
from dwserver.engine.words import RunStatus, StatusBucket
from dwserver.store.api import RunCursor, RunFilter, Store
from tests.support.builders import NOON, SECOND, a_run, a_start_transition

Type, Op, Column = AttributeType, Operator, RunColumn

LONG = "x" * 700
TYPES = ("orders.Ship", "orders.Bill")
QUEUES = ("orders", "mail")
INSTANTS = (
    "2026-04-13T12:00:00Z",
    "2026-04-13T14:00:00+02:00",
    "2026-04-14",
    "1969-12-31T23:59:59.999999Z",
)
VALUES: dict[str, tuple[Type, tuple[Any, ...]]] = {
    "Customer": (Type.KEYWORD, ("c-1", "c-2", "naïve Ω", "2026-04-14", LONG)),
    "Note": (Type.TEXT, ("a b", LONG + "a", LONG + "b")),
    "Tags": (Type.KEYWORD_LIST, ([], ["a"], ["a", "b"], ["b", "b", "c"])),
    "Count": (Type.INT, (-(2**63), -1, 0, 7, 2**53 + 1, 2**63 - 1, 2**63)),
    "Weight": (Type.DOUBLE, (-1.5, 0, 0.1, 7, 7.0, 1e300)),
    "IsPaid": (Type.BOOL, (True, False)),
    "DueAt": (Type.DATETIME, INSTANTS),
}
ORDERINGS: dict[Op, Callable[[Any, Any], bool]] = {
    Op.GE: operator.ge,
    Op.GT: operator.gt,
    Op.LE: operator.le,
    Op.LT: operator.lt,
}


@dataclass(frozen=True)
class Stored:
    run: Run
    attributes: dict[str, Any]
    business_key: str | None = None


def fulfils(stored: Stored, condition: Condition) -> bool:
    if isinstance(condition, RunCondition):
        run = stored.run
        if condition.column is Column.STATUS_BUCKET:
            value: object = run.status.bucket
        else:
            value = getattr(run, condition.column.value)
        return holds(value, condition)
    value = stored.attributes.get(condition.name)
    if not is_of(value, condition.type):
        return False
    if isinstance(value, list):
        has_one = bool(set(value) & set(condition.values))
        return has_one is (condition.operator is Op.EQ)
    if condition.type is Type.DATETIME:
        value = instant_of(str(value))
    if condition.type is Type.DOUBLE:
        value = float(str(value))
    return holds(value, condition)


def is_of(value: Any, value_type: Type) -> bool:
    """The value counts as one of that type."""
    is_whole = isinstance(value, int) and not isinstance(value, bool)
    is_stored = is_whole and -(2**63) <= value < 2**63
    match value_type:
        case Type.KEYWORD | Type.TEXT:
            return isinstance(value, str)
        case Type.KEYWORD_LIST:
            return isinstance(value, list)
        case Type.BOOL:
            return isinstance(value, bool)
        case Type.INT:
            return is_stored
        case Type.DOUBLE:
            return is_stored or isinstance(value, float)
        case Type.DATETIME:
            return isinstance(value, str) and instant_of(value) is not None


def holds(value: Any, condition: Condition) -> bool:
    if value is None:
        return False
    if condition.operator is Op.EQ:
        return value in condition.values
    if condition.operator is Op.NE:
        return value not in condition.values
    return ORDERINGS[condition.operator](value, condition.values[0])


def some_runs(random: Random, count: int) -> list[Stored]:
    stored = []
    for number in range(count):
        status = random.choice(list(RunStatus))
        started_at = NOON + random.randrange(6) * SECOND
        run = a_run(
            workflow_id=f"order-{number}",
            workflow_type=random.choice(TYPES),
            task_queue=random.choice(QUEUES),
            status=status,
            started_at=started_at,
            closed_at=started_at + random.randrange(4) * SECOND
            if status.is_terminal
            else None,
            compatibility=random.choice([None, "b1", "b2"]),
        )
        attributes = {
            # Now and then the value of another attribute: names may change their type.
            name: random.choice(
                values
                if random.random() < 0.9
                else random.choice(list(VALUES.values()))[1]
            )
            for name, (_, values) in VALUES.items()
            if random.random() < 0.6
        }
        stored.append(Stored(run, attributes, random.choice([None, "key 1", "key 2"])))
    return stored


def a_condition(random: Random, stored: list[Stored]) -> Condition:
    if random.random() < 0.5:
        name, (value_type, found) = random.choice(list(VALUES.items()))
        flat = [
            v for each in found for v in (each if isinstance(each, list) else [each])
        ]
        if value_type is Type.DATETIME:
            flat = [instant_of(value) for value in flat]
        if value_type is Type.DOUBLE:
            flat = [float(value) for value in flat]
        if value_type is Type.INT:
            flat = [value for value in flat if value < 2**63]
        is_ordered = value_type in {Type.INT, Type.DOUBLE, Type.DATETIME}
        comparison = random.choice(list(Op) if is_ordered else [Op.EQ, Op.NE])
        values = chosen(random, flat, comparison)
        return AttributeCondition(name, value_type, comparison, values)
    run = random.choice(stored).run
    column = random.choice(list(Column))
    pool: dict[Column, list[Any]] = {
        Column.WORKFLOW_TYPE: [*TYPES, "orders.None"],
        Column.WORKFLOW_ID: [run.workflow_id, "order-1", "nobody"],
        Column.RUN_ID: [run.id, stored[0].run.id, "nobody"],
        Column.TASK_QUEUE: [*QUEUES],
        Column.COMPATIBILITY: ["b1", "b2", "b3"],
        Column.STATUS: [*map(str, RunStatus), "sleeping"],
        Column.STATUS_BUCKET: [*map(str, StatusBucket)],
        Column.STARTED_AT: [NOON + n * SECOND for n in range(6)],
        Column.CLOSED_AT: [NOON + n * SECOND for n in range(9)],
    }
    is_ordered = column in {Column.STARTED_AT, Column.CLOSED_AT}
    comparison = random.choice(list(Op) if is_ordered else [Op.EQ, Op.NE])
    return RunCondition(column, comparison, chosen(random, pool[column], comparison))


def chosen(random: Random, values: list[Any], comparison: Op) -> tuple[Any, ...]:
    distinct = list(dict.fromkeys(values))
    most = len(distinct) if comparison.is_equality else 1
    return tuple(random.sample(distinct, k=random.randint(1, min(most, 3))))


def newest_first(stored: list[Stored]) -> list[str]:
    ordered = sorted(stored, key=lambda s: (s.run.started_at, s.run.id), reverse=True)
    return [each.run.id for each in ordered]


async def pages(store: Store, run_filter: RunFilter, *, limit: int) -> list[str]:
    found: list[str] = []
    after = None
    while views := await store.list_runs(run_filter, after=after, limit=limit):
        found += [view.run.id for view in views]
        after = RunCursor(views[-1].run.started_at, views[-1].run.id)
    return found


async def put(store: Store, stored: Stored) -> None:
    given = RunInput(
        arguments=None,
        search_attributes=stored.attributes,
        business_key=stored.business_key,
    )
    assert await store.commit(a_start_transition(stored.run, input=given))


async def rewrite(store: Store, stored: Stored, attributes: dict[str, Any]) -> Stored:
    run = replace(stored.run, version=stored.run.version + 1)
    given = RunInput(
        arguments=None, search_attributes=attributes, business_key=stored.business_key
    )
    change = RunChange(base_version=stored.run.version, run=run, input=given)
    assert await store.commit(Transition(changes=(change,)))
    return Stored(run, attributes, stored.business_key)


@pytest.fixture
async def filled(store: Store) -> tuple[Store, list[Stored], Random]:
    random = Random(5)
    stored = some_runs(random, 120)
    for each in stored:
        await put(store, each)
    # A third of them changes what it has, as upserts do.
    others = some_runs(random, len(stored))
    for number in range(0, len(stored), 3):
        attributes = others[number].attributes
        stored[number] = await rewrite(store, stored[number], attributes)
    return store, stored, random


async def test_lists_show_the_runs_that_fulfil_all_conditions(
    filled: tuple[Store, list[Stored], Random],
) -> None:
    store, stored, random = filled
    found_some = 0
    for round_ in range(400):
        conditions = tuple(
            a_condition(random, stored) for _ in range(random.randint(1, 3))
        )
        run_filter = RunFilter(
            "default",
            workflow_type=random.choice([None, None, *TYPES]),
            bucket=random.choice([None, None, *StatusBucket]),
            text=random.choice([None, None, None, "order-1", "key"]),
            conditions=conditions,
        )
        expected = newest_first(
            [s for s in stored if is_shown(s, run_filter)],
        )
        limit = 1000 if round_ % 2 else 3
        found = await pages(store, run_filter, limit=limit)
        assert found == expected, run_filter
        found_some += bool(found)
    assert found_some > 100


def is_shown(stored: Stored, run_filter: RunFilter) -> bool:
    run, text = stored.run, run_filter.text
    texts = (run.workflow_id, stored.business_key or "")
    return (
        run_filter.workflow_type in (None, run.workflow_type)
        and run_filter.bucket in (None, run.status.bucket)
        and (text is None or any(text in each for each in texts))
        and all(fulfils(stored, condition) for condition in run_filter.conditions)
    )


async def test_further_runs_of_a_workflow_id_are_found_by_it(store: Store) -> None:
    first = Stored(a_run(workflow_id="w", started_at=NOON), {})
    await put(store, first)
    second = replace(first.run, id="run-second", run_number=2, started_at=NOON + 1)
    change = RunChange(base_version=None, run=second, input=RunInput(arguments=None))
    closed = RunChange(base_version=1, run=replace(first.run, version=2))
    assert await store.commit(Transition(changes=(closed, change)))
    condition = RunCondition(Column.WORKFLOW_ID, Op.EQ, ("w",))
    run_filter = RunFilter("default", conditions=(condition,))
    assert await pages(store, run_filter, limit=1) == [second.id, first.run.id]


async def test_another_namespace_is_never_shown(store: Store) -> None:
    run = a_run(namespace="billing")
    await put(store, Stored(run, {"Customer": "c-1", "Count": 1}))
    conditions: list[Condition] = [
        RunCondition(Column.RUN_ID, Op.EQ, (run.id,)),
        RunCondition(Column.WORKFLOW_ID, Op.EQ, (run.workflow_id,)),
        RunCondition(Column.WORKFLOW_TYPE, Op.EQ, (run.workflow_type,)),
        RunCondition(Column.STARTED_AT, Op.GE, (0,)),
        AttributeCondition("Customer", Type.KEYWORD, Op.EQ, ("c-1",)),
        AttributeCondition("Count", Type.INT, Op.GT, (0,)),
    ]
    for condition in conditions:
        for namespace, expected in (("billing", [run.id]), ("default", [])):
            run_filter = RunFilter(namespace, conditions=(condition,))
            assert await pages(store, run_filter, limit=5) == expected


async def test_runs_that_start_meanwhile_move_no_later_page(store: Store) -> None:
    stored = [
        Stored(a_run(workflow_id=f"w-{n}", started_at=NOON + n), {"Customer": "c"})
        for n in range(12)
    ]
    for each in stored:
        await put(store, each)
    condition = AttributeCondition("Customer", Type.KEYWORD, Op.EQ, ("c",))
    for run_filter in (
        RunFilter("default"),
        RunFilter("default", conditions=(condition,)),
    ):
        expected = newest_first(stored)
        found: list[str] = []
        after = None
        while views := await store.list_runs(run_filter, after=after, limit=5):
            found += [view.run.id for view in views]
            after = RunCursor(views[-1].run.started_at, views[-1].run.id)
            newer = a_run(started_at=NOON + 100 + len(stored))
            stored.append(Stored(newer, {"Customer": "c"}))
            await put(store, stored[-1])
        assert found == expected

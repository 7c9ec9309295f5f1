"""Visibility queries: what is one, what it says, and what is wrong with it."""

from __future__ import annotations

from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dwserver.engine.run_conditions import (
    AttributeCondition,
    Condition,
    Operator,
    RunColumn,
    RunCondition,
)
from dwserver.engine.search_attributes import AttributeType
from dwserver.protocol.visibility.conditions import read_query
from dwserver.protocol.visibility.grammar import is_visibility_query
from dwserver.protocol.visibility.problems import (
    MAX_LITERALS,
    MAX_PREDICATES,
    InvalidQuery,
    Problem,
)

TYPES = {f"a_{word}": word.value for word in AttributeType}
NOON = 1_776_081_600_000_000

Op, Column, Type = Operator, RunColumn, AttributeType


def on(column: RunColumn, operator: Operator, *values: str | int) -> RunCondition:
    return RunCondition(column, operator, values)


def of(
    value_type: AttributeType, operator: Operator, *values: str | float | bool
) -> AttributeCondition:
    return AttributeCondition(f"a_{value_type}", value_type, operator, values)


@pytest.mark.parametrize(
    ("text", "is_query"),
    [
        ("order-42", False),
        ("customer 42 (old)", False),
        ("IN (a)", False),
        ("NOTHING", False),
        ("a_bool", False),
        ("a and b", False),
        ("= 3", False),
        ("", False),
        ("Status = 'running'", True),
        ("Status!=running", True),
        ("StartTime >= 2026-04-13", True),
        ("x<1", True),
        ("WorkflowType in ('a', 'b')", True),
        ("NOT a_bool", True),
        ("a_bool AND NOT a_bool", True),
    ],
)
def test_other_text_is_searched_for(text: str, is_query: bool) -> None:
    assert is_visibility_query(text) is is_query


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("WorkflowType = 'g.a'", [on(Column.WORKFLOW_TYPE, Op.EQ, "g.a")]),
        ('WorkflowType="g.a"', [on(Column.WORKFLOW_TYPE, Op.EQ, "g.a")]),
        ("WorkflowType=g.a:1-b", [on(Column.WORKFLOW_TYPE, Op.EQ, "g.a:1-b")]),
        ("WorkflowType = 5", [on(Column.WORKFLOW_TYPE, Op.EQ, "5")]),
        ("WorkflowId != w", [on(Column.WORKFLOW_ID, Op.NE, "w")]),
        ("NOT RunId = r", [on(Column.RUN_ID, Op.NE, "r")]),
        ("TaskQueue IN (a, 'b', a)", [on(Column.TASK_QUEUE, Op.EQ, "a", "b")]),
        ("NOT TaskQueue IN (a, b)", [on(Column.TASK_QUEUE, Op.NE, "a", "b")]),
        ("BuildId = b", [on(Column.COMPATIBILITY, Op.EQ, "b")]),
        ("BuildIds = b", [on(Column.COMPATIBILITY, Op.EQ, "b")]),
        ("Status = 'Running'", [on(Column.STATUS_BUCKET, Op.EQ, "running")]),
        ("ExecutionStatus != FAILED", [on(Column.STATUS_BUCKET, Op.NE, "failed")]),
        ("Status = Cancelled", [on(Column.STATUS, Op.EQ, "cancelled")]),
        ("Status = asleep", [on(Column.STATUS, Op.EQ, "asleep")]),
        (
            "StartTime >= '2026-04-13T12:00:00Z' and CloseTime < 2026-04-13T12:00:01Z",
            [
                on(Column.STARTED_AT, Op.GE, NOON),
                on(Column.CLOSED_AT, Op.LT, NOON + 1_000_000),
            ],
        ),
        (
            "NOT ExecutionTime > '2026-04-13T14:00:00.000001+02:00'",
            [on(Column.STARTED_AT, Op.LE, NOON + 1)],
        ),
        ("a_keyword = 'it\\'s \"x\"'", [of(Type.KEYWORD, Op.EQ, 'it\'s "x"')]),
        ("a_keyword = ' AND '", [of(Type.KEYWORD, Op.EQ, " AND ")]),
        ("a_keyword = true", [of(Type.KEYWORD, Op.EQ, "true")]),
        ("a_text != x", [of(Type.TEXT, Op.NE, "x")]),
        ("a_keyword_list IN (x, y)", [of(Type.KEYWORD_LIST, Op.EQ, "x", "y")]),
        ("NOT a_keyword_list = x", [of(Type.KEYWORD_LIST, Op.NE, "x")]),
        ("a_int > -5", [of(Type.INT, Op.GT, -5)]),
        ("NOT a_int < 7", [of(Type.INT, Op.GE, 7)]),
        ("a_int IN (1, 2)", [of(Type.INT, Op.EQ, 1, 2)]),
        ("a_int = 9223372036854775807", [of(Type.INT, Op.EQ, 2**63 - 1)]),
        ("a_double <= 1.5", [of(Type.DOUBLE, Op.LE, 1.5)]),
        ("a_double = 2", [of(Type.DOUBLE, Op.EQ, 2.0)]),
        ("a_double > -1e3", [of(Type.DOUBLE, Op.GT, -1000.0)]),
        ("a_bool = TRUE", [of(Type.BOOL, Op.EQ, True)]),
        ("NOT a_bool", [of(Type.BOOL, Op.NE, True)]),
        (
            "a_bool AND NOT a_bool = false",
            [of(Type.BOOL, Op.EQ, True), of(Type.BOOL, Op.NE, False)],
        ),
        ("a_datetime = 2026-04-13T12:00:00Z", [of(Type.DATETIME, Op.EQ, NOON)]),
    ],
)
def test_a_query_says_what_runs_must_fulfil(
    text: str, expected: list[Condition]
) -> None:
    assert read_query(text, TYPES) == tuple(expected)


@pytest.mark.parametrize(
    "text",
    [
        "Unknown = 1",
        "unknown != 'x'",
        "NOT Unknown",
        "Status = 'running' AND unknown IN (1)",
        # Names are case-sensitive.
        "workflowtype = 'x'",
    ],
)
def test_an_unknown_field_matches_nothing(text: str) -> None:
    assert read_query(text, TYPES) is None


@pytest.mark.parametrize(
    ("text", "problem", "field"),
    [
        ("Status =", Problem.NO_PREDICATE, ""),
        ("Status = 'running", Problem.NO_PREDICATE, ""),
        ("Status = 'a' OR Status = 'b'", Problem.NO_PREDICATE, ""),
        ("(Status = 'a')", Problem.NO_PREDICATE, ""),
        ("Status = 'a' AND", Problem.NO_PREDICATE, ""),
        ("AND Status = 'a'", Problem.NO_PREDICATE, ""),
        ("Status == 'a'", Problem.NO_PREDICATE, ""),
        ("5 = Status", Problem.NO_PREDICATE, ""),
        ("WorkflowType IN ()", Problem.NO_PREDICATE, ""),
        ("WorkflowType IN ('a',)", Problem.NO_PREDICATE, ""),
        ("WorkflowType IN ('a'", Problem.NO_PREDICATE, ""),
        ("WorkflowType AND Status = 'a'", Problem.NO_PREDICATE, ""),
        ("a_int AND Status = 'a'", Problem.NO_PREDICATE, ""),
        ("Status = %", Problem.NO_PREDICATE, ""),
        ("WorkflowType > 'a'", Problem.EQUALITY_ONLY, "WorkflowType"),
        ("Status IN ('running')", Problem.EQUALITY_ONLY, "Status"),
        ("Status < 'running'", Problem.EQUALITY_ONLY, "Status"),
        ("a_keyword >= 'a'", Problem.EQUALITY_ONLY, "a_keyword"),
        ("a_text < 'a'", Problem.EQUALITY_ONLY, "a_text"),
        ("a_bool > true", Problem.EQUALITY_ONLY, "a_bool"),
        ("a_keyword_list > 'a'", Problem.EQUALITY_ONLY, "a_keyword_list"),
        ("NOT a_keyword_list IN ('a')", Problem.NO_NEGATED_IN, "a_keyword_list"),
        ("a_int = '5'", Problem.NEEDS_INTEGER, "a_int"),
        ("a_int = 5.0", Problem.NEEDS_INTEGER, "a_int"),
        ("a_int = 9223372036854775808", Problem.NEEDS_INTEGER, "a_int"),
        (f"a_int = {'9' * 5000}", Problem.NEEDS_INTEGER, "a_int"),
        ("a_double = many", Problem.NEEDS_NUMBER, "a_double"),
        ("a_double = 1e999", Problem.NEEDS_NUMBER, "a_double"),
        (f"a_double = {'9' * 5000}", Problem.NEEDS_NUMBER, "a_double"),
        ("a_bool = 1", Problem.NEEDS_BOOLEAN, "a_bool"),
        ("a_bool = 'true'", Problem.NEEDS_BOOLEAN, "a_bool"),
        ("a_datetime > yesterday", Problem.NEEDS_INSTANT, "a_datetime"),
        ("StartTime > 5", Problem.NEEDS_INSTANT, "StartTime"),
        ("CloseTime > '2026-02-30'", Problem.NEEDS_INSTANT, "CloseTime"),
    ],
)
def test_a_query_that_breaks_a_rule_is_refused(
    text: str, problem: Problem, field: str
) -> None:
    with pytest.raises(InvalidQuery) as raised:
        read_query(text, TYPES)
    assert raised.value.problem is problem
    assert str(raised.value) == problem.format(field=field)


def test_queries_are_bounded() -> None:
    most = " AND ".join(["a_int = 1"] * MAX_PREDICATES)
    assert len(read_query(most, TYPES) or ()) == MAX_PREDICATES
    with pytest.raises(InvalidQuery, match=f"at most {MAX_PREDICATES} predicates"):
        read_query(f"{most} AND a_int = 1", TYPES)
    literals = ",".join(map(str, range(MAX_LITERALS)))
    [condition] = read_query(f"a_int IN ({literals})", TYPES) or ()
    assert len(condition.values) == MAX_LITERALS
    with pytest.raises(InvalidQuery, match=f"at most {MAX_LITERALS} literals"):
        read_query(f"a_int IN ({literals},{MAX_LITERALS})", TYPES)


@given(st.text(alphabet="aA_=!<>()'\"\\ ,.-:0159ANDOTI\n", max_size=60))
def test_any_text_is_a_query_or_is_refused(text: str) -> None:
    with suppress(InvalidQuery):
        read_query(text, TYPES)


@given(st.text(max_size=30))
def test_any_text_can_be_quoted(text: str) -> None:
    quoted = text.replace("\\", "\\\\").replace('"', '\\"')
    assert read_query(f'a_keyword = "{quoted}"', TYPES) == (
        of(Type.KEYWORD, Op.EQ, text),
    )


@pytest.mark.parametrize(
    "text", ["a" * 8000, "a " * 4000, "a" + " " * 8000, "'" * 8000, "IN" * 4000]
)
def test_a_long_text_is_seen_through_at_once(text: str) -> None:
    """A careless pattern compares every position with every other."""
    assert not is_visibility_query(text)

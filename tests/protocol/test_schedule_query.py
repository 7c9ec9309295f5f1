"""Queries about schedules: fields, types, and what is no query."""

from __future__ import annotations

import pytest

from dwserver.engine.model.schedules import OverlapPolicy, ScheduleStatus
from dwserver.protocol.visibility.problems import InvalidQuery
from dwserver.protocol.visibility.schedule_query import read_schedule_query
from tests.support.builders import NOON, a_schedule

TYPES = {
    "Region": "keyword",
    "Amount": "int",
    "Rate": "double",
    "Urgent": "bool",
    "Due": "datetime",
    "Tags": "keyword_list",
}
FULL = a_schedule(
    schedule_id="nightly-eu",
    status=ScheduleStatus.PAUSED,
    overlap_policy=OverlapPolicy.BUFFER_ALL,
    action={"workflow_type": "orders.Ship", "task_queue": "orders"},
    created_at=NOON,
    next_fire_at=None,
    search_attributes={
        "Region": "eu",
        "Amount": 5,
        "Rate": 0.5,
        "Urgent": True,
        "Due": "2026-04-13T12:00:00Z",
        "Tags": ["a", "b"],
    },
)
BARE = a_schedule(schedule_id="other", action={"workflow_type": "t"})


@pytest.mark.parametrize(
    "query",
    [
        "nightly",
        "ScheduleId = 'nightly-eu'",
        'ScheduleId IN ("x", "nightly-eu")',
        "WorkflowType = 'orders.Ship' AND Status = paused",
        "NOT ScheduleStatus = 'active'",
        "OverlapPolicy != skip",
        "TaskQueue = orders",
        "TaskQueue != billing",
        "CreatedAt >= '2026-04-13T12:00:00Z'",
        "CreatedAt < '2026-04-13T12:00:01+00:00'",
        "Region = eu",
        "Region != us",
        "Amount > 4 AND Amount <= 5",
        "Rate < 0.75",
        "Urgent = true",
        "Urgent AND Amount = 5",
        "Due = '2026-04-13T14:00:00+02:00'",
        "Tags = b",
        "Tags != c",
    ],
)
def test_what_a_schedule_fulfils(query: str) -> None:
    assert read_schedule_query(query, TYPES)(FULL)


@pytest.mark.parametrize(
    "query",
    [
        "weekly",
        "ScheduleId = nightly",
        "Status = paused AND Status = active",
        "TaskQueue != orders",
        "CreatedAt > '2026-04-13T12:00:00Z'",
        "Amount = 1",
        "Urgent = false",
        "Tags != a",
        # It has none, or nobody has defined it.
        "NextFireAt < '2030-01-01T00:00:00Z'",
        "LastFiredAt != '2030-01-01T00:00:00Z'",
        "Nothing = 1",
        "Nothing != 1",
    ],
)
def test_what_it_does_not_fulfil(query: str) -> None:
    assert not read_schedule_query(query, TYPES)(FULL)


@pytest.mark.parametrize("name", TYPES)
def test_no_value_fulfils_nothing(name: str) -> None:
    literal = {"Urgent": "true", "Due": "'2026-04-13T12:00:00Z'"}.get(name, "1")
    for sign in ("=", "!="):
        assert not read_schedule_query(f"{name} {sign} {literal}", TYPES)(BARE)


@pytest.mark.parametrize(
    "query",
    ["Status = ", "Amount = x", "Region > a", "Status = a OR Status = b", "Urgent = 1"],
)
def test_what_is_no_query(query: str) -> None:
    with pytest.raises(InvalidQuery):
        read_schedule_query(query, TYPES)

"""Overdue activities: the scan, the pass and its report."""

from __future__ import annotations

from typing import Any, cast

import pytest

from dwserver.engine.lifecycle.activity_timeout import ActivityTimedOut, TimeoutSkip
from dwserver.engine.words import TimeoutKind
from dwserver.http.system.activity_timeouts import run_pass, status
from dwserver.services.activity_timeouts import Enforced, Outcome
from dwserver.services.runs import RunContended
from dwserver.store.api import StoreUnavailable
from tests.http.handler_stage import Stage


def timed_out(*, is_retried: bool) -> ActivityTimedOut:
    return ActivityTimedOut(
        cast(Any, None), TimeoutKind.HEARTBEAT, None, is_retried=is_retried
    )


@pytest.mark.parametrize(
    ("asked", "limit"), [(None, 100), ("1", 1), ("100", 100), ("5000", 100)]
)
async def test_a_scan_is_bounded(asked: str | None, limit: int) -> None:
    stage = Stage({"activity_timeouts.expired": ["act-1"]})
    answer = await stage.ask(status, query={} if asked is None else {"limit": asked})
    assert answer.status == 200
    assert answer.body == {
        "expired_count": 1,
        "expired_execution_ids": ["act-1"],
        "scan_limit": limit,
        "scan_pressure": limit == 1,
    }
    assert [call.options for call in stage.calls] == [{"limit": limit}]


@pytest.mark.parametrize(
    ("outcome", "row", "counted"),
    [
        (
            timed_out(is_retried=True),
            {"outcome": "enforced", "has_retry": True},
            "enforced",
        ),
        (
            timed_out(is_retried=False),
            {"outcome": "enforced", "has_retry": False},
            "enforced",
        ),
        (
            TimeoutSkip.NO_DEADLINE_EXPIRED,
            {"outcome": "skipped", "reason": "no_deadline_expired"},
            "skipped",
        ),
        (
            RunContended("act-1"),
            {"outcome": "error", "reason": "backend_lock_pressure"},
            "failed",
        ),
        (
            StoreUnavailable("gone"),
            {"outcome": "error", "reason": "backend_unavailable"},
            "failed",
        ),
    ],
)
async def test_a_pass_reports_each_outcome(
    outcome: Outcome, row: dict[str, Any], counted: str
) -> None:
    stage = Stage({"activity_timeouts.enforce": [Enforced("act-1", outcome)]})
    answer = await stage.ask(run_pass)
    assert answer.status == (207 if counted == "failed" else 200)
    assert answer.body == {
        "processed": 1,
        "enforced": 0,
        "skipped": 0,
        "failed": 0,
        counted: 1,
        "results": [{"execution_id": "act-1", **row}],
    }


async def test_a_pass_over_named_activities_does_not_scan() -> None:
    stage = Stage({"activity_timeouts.enforce_on": []})
    answer = await stage.ask(run_pass, body={"execution_ids": ["a", "b"], "limit": 1})
    assert answer.body == {
        "processed": 0,
        "enforced": 0,
        "skipped": 0,
        "failed": 0,
        "results": [],
    }
    assert [call.arguments for call in stage.calls] == [(["a", "b"],)]


@pytest.mark.parametrize(
    ("body", "paths"),
    [
        ({"limit": 0, "execution_ids": "x"}, ["limit", "execution_ids"]),
        ({"execution_ids": ["a"] * 101}, ["execution_ids"]),
        ({"execution_ids": ["a", ""]}, ["execution_ids.1"]),
        ({"execution_ids": ["a" * 129]}, ["execution_ids.0"]),
        ({"execution_ids": [7]}, ["execution_ids.0"]),
    ],
)
async def test_a_pass_with_wrong_fields(body: dict[str, Any], paths: list[str]) -> None:
    stage = Stage({})
    answer = await stage.ask(run_pass, body=body)
    assert answer.status == 422
    assert list(answer.body["errors"]) == paths

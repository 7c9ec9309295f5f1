"""Repair on request: the policy, the candidates, and the report of a pass."""

from __future__ import annotations

from typing import Any

import pytest

from dwserver.http.system.repair import run_pass, status
from dwserver.services.repair_selection import RepairSelection, select
from dwserver.services.task_repair import (
    RepairPolicy,
    RepairReport,
    RepairScopeFilter,
)
from dwserver.store.api import StoreUnavailable
from dwserver.store.repair import RepairCandidate
from tests.http.handler_stage import MICROS, NAMESPACE, NOW, Stage

POLICY = RepairPolicy(
    redispatch_after_seconds=3,
    loop_throttle_seconds=5,
    scan_limit=25,
    failure_backoff_max_seconds=60,
)


def some(count: int, *, scan_limit: int = 25) -> RepairSelection:
    at = NOW - 4 * MICROS
    found = [
        RepairCandidate(f"task-{n}", "run-1", "wq", None, at, at) for n in range(count)
    ]
    return select(found, scan_limit=scan_limit)


async def test_a_scan_shows_what_the_next_pass_would_do() -> None:
    stage = Stage(
        {"task_repair.candidates": some(2, scan_limit=1)},
        facts={"task_repair.policy": POLICY},
    )
    answer = await stage.ask(status)
    created_at = "2026-04-13T11:59:56.000000Z"
    counts = {
        "existing_task_candidates": 2,
        "missing_task_candidates": 0,
        "total_candidates": 2,
        "selected_existing_task_candidates": 1,
        "selected_missing_task_candidates": 0,
        "selected_total_candidates": 1,
        "oldest_task_candidate_created_at": created_at,
        "oldest_missing_run_started_at": None,
        "max_task_candidate_age_ms": 4000,
        "max_missing_run_age_ms": 0,
    }
    assert answer.body == {
        "policy": {
            "redispatch_after_seconds": 3,
            "loop_throttle_seconds": 5,
            "scan_limit": 25,
            "scan_strategy": "scope_fair_round_robin",
            "failure_backoff_max_seconds": 60,
            "failure_backoff_strategy": "exponential_by_repair_count",
        },
        "candidates": {
            **counts,
            "scan_limit": 1,
            "scan_strategy": "scope_fair_round_robin",
            "existing_task_scan_limit_reached": True,
            "missing_task_scan_limit_reached": False,
            "scan_pressure": True,
            "scopes": [
                {
                    "scope_key": "default:wq:any",
                    "connection": None,
                    "queue": "wq",
                    "compatibility": None,
                    "scan_limited_by_global_policy": True,
                    **counts,
                }
            ],
        },
    }


async def test_an_empty_pass() -> None:
    stage = Stage({"task_repair.run_pass": RepairReport()})
    answer = await stage.ask(run_pass)
    assert answer.status == 200
    assert answer.body == {
        "selected_command_contract_candidates": 0,
        "backfilled_command_contracts": 0,
        "command_contract_backfill_unavailable": 0,
        "command_contract_failures": [],
        "existing_task_failures": [],
        "missing_run_failures": [],
        "connection": None,
        "queue": None,
        "run_ids": [],
        "instance_id": None,
        "respect_throttle": False,
        "throttled": False,
        "selected_existing_task_candidates": 0,
        "selected_missing_task_candidates": 0,
        "selected_total_candidates": 0,
        "repaired_existing_tasks": 0,
        "repaired_missing_tasks": 0,
        "dispatched_tasks": 0,
        "deadline_expired_candidates": 0,
        "deadline_expired_tasks_created": 0,
        "deadline_expired_failures": [],
        "activity_timeout_candidates": 0,
        "activity_timeouts_enforced": 0,
        "activity_timeout_failures": [],
    }
    assert stage.calls[0].arguments == (RepairScopeFilter(NAMESPACE),)


async def test_a_pass_with_a_failure_is_multi_status() -> None:
    report = RepairReport(
        selection=some(3),
        repaired=2,
        task_failures=(("task-1", StoreUnavailable("gone")),),
        overdue_runs=1,
    )
    stage = Stage({"task_repair.run_pass": report})
    answer = await stage.ask(
        run_pass,
        body={"run_ids": ["run-1"], "instance_id": "order-1", "respect_throttle": True},
    )
    assert answer.status == 207
    shown = {
        key: answer.body[key]
        for key in (
            "run_ids",
            "instance_id",
            "respect_throttle",
            "selected_total_candidates",
            "repaired_existing_tasks",
            "existing_task_failures",
            "deadline_expired_candidates",
        )
    }
    assert shown == {
        "run_ids": ["run-1"],
        "instance_id": "order-1",
        "respect_throttle": True,
        "selected_total_candidates": 3,
        "repaired_existing_tasks": 2,
        "existing_task_failures": [
            {"candidate_id": "task-1", "message": "backend_unavailable"}
        ],
        "deadline_expired_candidates": 1,
    }
    (call,) = stage.calls
    assert call.arguments == (RepairScopeFilter(NAMESPACE, ("run-1",), "order-1"),)
    assert call.options == {"respects_throttle": True}


@pytest.mark.parametrize(
    ("body", "message"),
    [
        ({"run_ids": "x"}, "The run ids field must be an array."),
        (
            {"run_ids": ["a"] * 101},
            "The run ids field must not have more than 100 items.",
        ),
    ],
)
async def test_a_pass_with_wrong_fields(body: dict[str, Any], message: str) -> None:
    answer = await Stage({}).ask(run_pass, body=body)
    assert answer.status == 422
    assert answer.body["message"] == message

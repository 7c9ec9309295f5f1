"""Retention on request: the scan, the pass and its report."""

from __future__ import annotations

from typing import Any

import pytest

from dwserver.http.system.retention import DELETED_KEYS, run_pass, status
from dwserver.services.records import RunPart
from dwserver.services.retention import Expired, Pruned, PruneSkip
from dwserver.store.api import StoreUnavailable
from tests.http.handler_stage import NAMESPACE, NOW, Stage


@pytest.mark.parametrize("is_partial", [False, True])
async def test_a_scan(is_partial: bool) -> None:
    expired = Expired(30, NOW, ("run-1", "run-2"), is_partial=is_partial)
    stage = Stage({"retention.expired": expired})
    answer = await stage.ask(status, query={"limit": "2"})
    assert answer.body == {
        "namespace": NAMESPACE,
        "retention_days": 30,
        "cutoff": "2026-04-13T12:00:00+00:00",
        "expired_run_count": 2,
        "expired_run_ids": ["run-1", "run-2"],
        "scan_limit": 2,
        "scan_pressure": is_partial,
    }
    assert [(call.arguments, call.options) for call in stage.calls] == [
        ((NAMESPACE,), {"limit": 2})
    ]


async def test_a_pass_reports_what_was_deleted() -> None:
    counts = {part: n for n, part in enumerate(RunPart, start=1)}
    stage = Stage({"retention.enforce": [Pruned("run-1", counts)]})
    answer = await stage.ask(run_pass, body={"limit": 7})
    assert answer.status == 200
    row = answer.body["results"][0]
    deleted = row.pop("deleted")
    assert answer.body == {
        "processed": 1,
        "pruned": 1,
        "skipped": 0,
        "failed": 0,
        "results": [
            {
                "run_id": "run-1",
                "outcome": "pruned",
                "history_events_deleted": counts[RunPart.EVENTS],
                "tasks_deleted": counts[RunPart.TASKS],
                "external_payloads_deleted": 0,
            }
        ],
    }
    assert {key: deleted[key] for key, part in DELETED_KEYS.items() if part} == {
        key: counts[part] for key, part in DELETED_KEYS.items() if part
    }
    assert {key for key, part in DELETED_KEYS.items() if not part and deleted[key]} == {
        "run_summary_deleted"
    }


def test_everything_that_is_deleted_is_counted() -> None:
    assert {part for part in DELETED_KEYS.values() if part} == set(RunPart)


async def test_a_pass_with_failures_is_multi_status() -> None:
    pruned = [
        Pruned("run-1", PruneSkip.ARCHIVED),
        Pruned("run-2", StoreUnavailable("gone")),
    ]
    stage = Stage({"retention.enforce_on": pruned})
    answer = await stage.ask(run_pass, body={"run_ids": ["run-1", "run-2"]})
    assert answer.status == 207
    assert answer.body == {
        "processed": 2,
        "pruned": 0,
        "skipped": 1,
        "failed": 1,
        "results": [
            {"run_id": "run-1", "outcome": "skipped", "reason": "run_archived"},
            {"run_id": "run-2", "outcome": "error", "reason": "backend_unavailable"},
        ],
    }


@pytest.mark.parametrize(
    ("body", "message"),
    [
        ({"limit": 0}, "The limit field must be at least 1."),
        ({"run_ids": "x"}, "The run ids field must be an array."),
        (
            {"run_ids": ["a"] * 101},
            "The run ids field must not have more than 100 items.",
        ),
        (
            {"limit": 0, "run_ids": "x"},
            "The limit field must be at least 1. (and 1 more error)",
        ),
    ],
)
async def test_a_pass_with_wrong_fields(body: dict[str, Any], message: str) -> None:
    answer = await Stage({}).ask(run_pass, body=body)
    assert answer.status == 422
    assert answer.body["message"] == message

"""A worker of the official SDK finishes a run that another server began."""

from __future__ import annotations

import uuid
from pathlib import Path
from typing import Any

import pytest

from tests.sdk.environments import RELEASES, provide
from tests.sdk.matrix import Ground, Sites
from tests.support.embedded_bundles import sealed
from tests.support.waiting import wait_until

pytestmark = [pytest.mark.full, pytest.mark.timeout(300)]

NEWEST = RELEASES[-1]


def exported(ground: Ground, workflow_id: str) -> dict[str, Any]:
    """As an embedded application would have written it."""
    path = f"/api/workflows/{workflow_id}"
    run_id = ground.operator.request("GET", path).expect(200)["run_id"]
    bundle = ground.operator.request("GET", f"{path}/runs/{run_id}/history/export")
    document: dict[str, Any] = bundle.expect(200)
    document["workflow"]["source_runtime"] = "embedded"
    return sealed(document)


def test_a_worker_goes_on_where_another_one_stopped(
    sites: Sites, tmp_path: Path
) -> None:
    sdk = provide(NEWEST)
    source, target = (
        sites.ground(engine, sdk, has_short_leases=True)
        for engine in ("sqlite", "postgres")
    )
    queue = f"moved-{uuid.uuid4().hex[:8]}"
    workflow_id = f"moved-{uuid.uuid4().hex[:12]}"
    path = f"/api/workflows/{workflow_id}"

    def signal(ground: Ground) -> None:
        ground.operator.request("POST", f"{path}/signal/go", {"input": []}).expect(202)

    def is_quiet() -> bool:
        tasks = exported(source, workflow_id)["tasks"]
        return not any(task["status"] == "leased" for task in tasks)

    start = {
        "workflow_id": workflow_id,
        "workflow_type": "sdk.replaced",
        "task_queue": queue,
        "input": [],
    }
    source.operator.request("POST", "/api/workflows", start).expect(201)
    worker = source.programs.start_worker(queue, tmp_path / "first.log", "first")
    try:
        wait_until(lambda: source.count(workflow_id, "ConditionWaitOpened") == 1)
        signal(source)
        wait_until(lambda: source.count(workflow_id, "ConditionWaitOpened") == 2)
    finally:
        worker.kill()
    wait_until(is_quiet)
    bundle = exported(source, workflow_id)
    imported = target.operator.request(
        "POST", "/api/workflows/import/embedded-v2", {"bundle": bundle}
    )
    imported.expect(201)
    signal(target)
    worker = target.programs.start_worker(queue, tmp_path / "second.log", "first")
    try:
        wait_until(
            lambda: target.operator.request("GET", path).expect(200)["is_terminal"]
        )
    finally:
        worker.kill()
    shown = target.operator.request("GET", path).expect(200)
    assert (shown["status"], shown["output"]) == ("completed", "first")
    assert shown["engine_source"] == "embedded_v2_import"

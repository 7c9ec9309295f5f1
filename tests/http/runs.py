"""Records that prepared services hand out."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from dwserver.engine.leases import Leased
from dwserver.engine.model import Run, RunInput, Task
from dwserver.engine.words import RunStatus, TaskKind, TaskStatus
from dwserver.matching.pollers import Delivery
from dwserver.services.records import RunView, WorkerRegistration
from tests.http.handler_stage import MICROS, NAMESPACE, NOW

RUN_ID = "01k0000000000000000000run1"
TASK_ID = "01k000000000000000000task1"
ATTEMPT_ID = "01K0000000000000000ATTEMP1"


def a_run(**fields: Any) -> Run:
    run = Run(
        id=RUN_ID,
        namespace=NAMESPACE,
        workflow_id="order-42",
        workflow_type="orders.process",
        run_number=1,
        status=RunStatus.PENDING,
        task_queue="gq",
        payload_codec="avro",
        started_at=NOW,
        last_progress_at=NOW,
    )
    return replace(run, **fields)


def a_task(**fields: Any) -> Task:
    task = Task(
        id=TASK_ID,
        run_id=RUN_ID,
        namespace=NAMESPACE,
        kind=TaskKind.WORKFLOW,
        status=TaskStatus.LEASED,
        queue="gq",
        type_name="orders.process",
        available_at=NOW,
        created_at=NOW,
        attempt=1,
        lease_owner="wk1",
        lease_expires_at=NOW + 60 * MICROS,
        snapshot_sequence=2,
    )
    return replace(task, **fields)


def a_delivery(**fields: Any) -> Delivery:
    return Delivery(Leased(a_run(), a_task(**fields), None))


def a_view(run: Run | None = None, **fields: Any) -> RunView:
    run = run or a_run()
    known: dict[str, Any] = {
        "input": RunInput(arguments=None),
        "output": None,
        "run_count": run.run_number,
        "current_run_id": run.id,
    }
    return RunView(run, **{**known, **fields})


def a_worker(**fields: Any) -> WorkerRegistration:
    worker = WorkerRegistration(
        namespace=NAMESPACE,
        worker_id="wk1",
        task_queue="wq",
        runtime="python",
        sdk_version="0.2.0",
        build_id="build-1",
        workflow_types=("g.flow", "g.other"),
        activity_types=("g.act",),
        fingerprints={"g.flow": "sha256:aaa", "g.other": "sha256:ccc"},
        max_workflow_tasks=5,
        max_activity_tasks=7,
        status="active",
        registered_at=NOW,
        last_heartbeat_at=NOW,
    )
    return replace(worker, **fields)

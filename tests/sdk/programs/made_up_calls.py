"""Methods that only have to reach the server, because nothing there serves them yet.

Their arguments are made up by the names of the parameters.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import durable_workflow
from durable_workflow import ScheduleAction, ScheduleSpec

from tests.sdk.programs.method_stage import ACTIVITY, TYPE, Scenario, Stage

_ITEM_FIELDS = (
    *("payload", "payload_reference", "idempotency_key", "item_type"),
    "content_type",
)
MADE_UP: dict[str, Any] = {
    "action": "start_workflow",
    "activity_attempt_id": "attempt-1",
    "activity_id": "activity-1",
    "activity_type": ACTIVITY,
    "adapter": "adapter-1",
    "boundary": SimpleNamespace(
        request_id="request-1",
        sequence=1,
        call_kind="activity",
        sequence_span=1,
        operation_sequence=None,
        operation_sequence_span=1,
    ),
    "build_id": "b1",
    "call_kind": "activity",
    "driver": "local",
    "end_time": "2026-01-02T00:00:00Z",
    "endpoint_name": "endpoint-1",
    "idempotency_key": "key-1",
    "items": [SimpleNamespace(**dict.fromkeys(_ITEM_FIELDS))],
    "lease_owner": "worker-1",
    "lease_seconds": 60,
    "message": "no",
    "message_id": "message-1",
    "name": "made-up",
    "operation": "prepare",
    "operation_name": "operation-1",
    "phase": "prepare",
    "query_task_attempt": 1,
    "query_task_id": "query-1",
    "reason": "rejected",
    "request_id": "request-1",
    "schedule_id": "schedule-1",
    "scope_id": "scope-1",
    "sequence": 1,
    "service_name": "service-1",
    "session_id": "session-1",
    "spec": ScheduleSpec(cron_expressions=["0 0 * * *"]),
    "start_time": "2026-01-01T00:00:00Z",
    "stream_name": "stream-1",
    "target": {"workflow_type": TYPE, "task_queue": "made-up"},
    "task_id": "task-1",
    "task_queue": "made-up",
    "update_validation_attempt": 1,
    "update_validation_task_id": "validation-1",
    "worker_id": "worker-1",
    "workflow_task_attempt": 1,
}


def reaching(owner: str, method: str) -> Scenario:
    """Call a method with made-up arguments; those of a run are about a real one."""

    async def call(stage: Stage) -> None:
        target = await _target(stage, owner)
        bound = getattr(target, method)
        values = {**MADE_UP, **await _run_values(stage, bound)}
        asked = {
            name: values[name]
            for name, parameter in inspect.signature(bound).parameters.items()
            if parameter.default is parameter.empty
        }
        answer = bound(**asked)
        if hasattr(answer, "__aiter__"):
            async for _ in answer:
                break
        elif inspect.isawaitable(answer):
            await answer

    return call


async def _target(stage: Stage, owner: str) -> Any:
    if owner == "WorkflowHandle":
        return await stage.start()
    if owner == "ScheduleHandle":
        return stage.client.get_schedule_handle("schedule-1")
    if owner == "StandaloneActivityHandle":
        return stage.client.get_activity_handle("activity-1")
    return stage.client


async def _run_values(stage: Stage, bound: Callable[..., Any]) -> dict[str, Any]:
    asked = inspect.signature(bound).parameters
    values: dict[str, Any] = {}
    if {"workflow_id", "run_id", "failed_run_id"} & set(asked):
        await stage.start()
        values["workflow_id"] = stage.name
        values["run_id"] = values["failed_run_id"] = stage.run_id
    if "handle" in asked:
        values["handle"] = await _target(stage, "StandaloneActivityHandle")
    if "options" in asked:
        values["options"] = durable_workflow.WorkerSessionOptions("session-1")
    if "action" in asked and "spec" in asked:
        values["action"] = ScheduleAction(workflow_type=TYPE, task_queue="made-up")
    return values

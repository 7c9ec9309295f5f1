"""``run_client.py QUEUE TIMEOUT < {WORKFLOW_ID: SCENARIO, …}``: runs them all at once.

Prints a JSON object with, for each workflow id, ``run_id``, ``answers`` of the steps,
and ``result`` or ``error`` and ``message``; or only ``broken``, what happened that the
scenario does not foresee.
"""

from __future__ import annotations

import asyncio
import json
import sys
import traceback
from collections.abc import Awaitable, Callable
from typing import Any

import durable_workflow
from durable_workflow import (
    Client,
    InvalidArgument,
    QueryFailed,
    WorkflowCancelled,
    WorkflowFailed,
    WorkflowTerminated,
)

from tests.sdk.programs import marks
from tests.sdk.programs.connection import connect
from tests.sdk.programs.scenario_values import JOB
from tests.sdk.programs.scenarios import SCENARIOS, Scenario
from tests.sdk.programs.steps import (
    Cancel,
    Closed,
    Mark,
    Marked,
    OfChild,
    Query,
    Recorded,
    Signal,
    Step,
    Terminate,
    Update,
)

POLL_SECONDS = 0.25
OPEN = ("pending", "running", "waiting")

ENDINGS: list[type[BaseException]] = [
    WorkflowFailed,
    WorkflowCancelled,
    WorkflowTerminated,
]
if hasattr(durable_workflow, "WorkflowTimedOut"):
    ENDINGS.append(durable_workflow.WorkflowTimedOut)

Refusal = (QueryFailed, InvalidArgument)


def with_job(value: Any, job: str) -> Any:
    """The value with ``JOB`` replaced everywhere."""
    if value == JOB:
        return job
    if isinstance(value, (list, tuple)):
        return [with_job(item, job) for item in value]
    return value


class Target:
    """The run that the steps of a scenario are about, or one of its children."""

    def __init__(self, client: Client, workflow_id: str, run_id: str) -> None:
        self._client = client
        self._id = workflow_id
        self._run_id = run_id

    async def perform(self, step: Step) -> list[Any]:
        """The answers: one of a step that has an answer, else none."""
        if isinstance(step, OfChild):
            return await (await self._child(step.index)).perform(step.step)
        if isinstance(step, Query):
            return [await _answer(self._query, step)]
        if isinstance(step, Update):
            return [await _answer(self._update, step)]
        if isinstance(step, Closed):
            return [await self._closed()]
        await self._act(step)
        return []

    async def _act(self, step: Step) -> None:
        if isinstance(step, Signal):
            await self._signal(step)
        elif isinstance(step, Cancel):
            await self._client.cancel_workflow(self._id, reason=step.reason)
        elif isinstance(step, Terminate):
            await self._client.terminate_workflow(self._id, reason=step.reason)
        elif isinstance(step, Recorded):
            await self._recorded(step)
        elif isinstance(step, Marked):
            await marks.until(self._id, step.mark)
        elif isinstance(step, Mark):
            marks.make(self._id, step.mark)

    async def _signal(self, step: Signal) -> None:
        sent = [list(step.arguments)]
        if step.times > 1:
            sent = [[index] for index in range(step.times)]
        signals = (
            self._client.signal_workflow(self._id, step.name, args=arguments)
            for arguments in sent
        )
        await asyncio.gather(*signals)

    async def _query(self, step: Query) -> Any:
        answer = await self._client.query_workflow(
            self._id, step.name, args=list(step.arguments)
        )
        return answer["result"]

    async def _update(self, step: Update) -> Any:
        answer = await self._client.update_workflow(
            self._id, step.name, args=list(step.arguments), wait_for="completed"
        )
        return [answer["update_status"], answer["result"]]

    async def _recorded(self, step: Recorded) -> None:
        while True:
            if len(await self._events(step.event)) >= step.count:
                return
            await asyncio.sleep(POLL_SECONDS)

    async def _closed(self) -> str:
        while True:
            status = (await self._client.describe_workflow(self._id)).status
            if status not in OPEN:
                return str(status)
            await asyncio.sleep(POLL_SECONDS)

    async def _events(self, event_type: str) -> list[dict[str, Any]]:
        history = await self._client.get_history(self._id, self._run_id)
        return [
            event["payload"]
            for event in history["events"]
            if event["event_type"] == event_type
        ]

    async def _child(self, index: int) -> Target:
        child = (await self._events("ChildWorkflowScheduled"))[index]
        return Target(
            self._client,
            child["child_workflow_instance_id"],
            child["child_workflow_run_id"],
        )


async def _answer(ask: Callable[[Any], Awaitable[Any]], step: Step) -> Any:
    try:
        return await ask(step)
    except Refusal as refusal:
        kind = next(cls for cls in Refusal if isinstance(refusal, cls))
        return {"refused": kind.__name__, "message": str(refusal)}


async def run(
    client: Client, queue: str, workflow_id: str, scenario: Scenario, timeout: float
) -> dict[str, Any]:
    handle = await client.start_workflow(
        workflow_type=scenario.workflow_type,
        workflow_id=workflow_id,
        task_queue=queue,
        input=with_job(scenario.arguments, workflow_id),
        run_timeout_seconds=scenario.run_timeout_seconds,
    )
    target = Target(client, workflow_id, str(handle.run_id))
    seen: dict[str, Any] = {"run_id": handle.run_id, "answers": []}
    for step in scenario.steps:
        try:
            answers = await asyncio.wait_for(target.perform(step), timeout)
        except TimeoutError:
            return {"broken": f"no end of {step}"}
        seen["answers"] += answers
    try:
        seen["result"] = await handle.result(
            timeout=timeout, poll_interval=POLL_SECONDS
        )
    except tuple(ENDINGS) as ending:
        seen["error"] = type(ending).__name__
        seen["message"] = str(ending)
    return seen


async def run_or_explain(*arguments: Any) -> dict[str, Any]:
    try:
        return await run(*arguments)
    except TimeoutError as error:
        return {"broken": str(error)}
    except Exception:
        return {"broken": traceback.format_exc()}


async def main(queue: str, timeout: str) -> None:
    jobs: dict[str, str] = json.load(sys.stdin)
    async with connect() as client:
        seen = await asyncio.gather(
            *(
                run_or_explain(client, queue, job, SCENARIOS[name], float(timeout))
                for job, name in jobs.items()
            )
        )
    print(json.dumps(dict(zip(jobs, seen, strict=True))))


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))

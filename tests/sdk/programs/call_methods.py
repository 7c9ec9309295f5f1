"""``call_methods.py < [METHOD, …]``: calls every public method of the client and its
handles; those that are named only have to reach the server.

Prints a JSON object with, for each method, ``outcome`` and ``detail``:

works: it did what its scenario expects;
refused: the server refused it; ``detail`` is [status, reason];
declined: the client raised before the server was asked; ``detail`` is the exception;
failed: anything else; ``detail`` is a traceback;
unknown: it has no scenario.
"""

from __future__ import annotations

import asyncio
import inspect
import json
import sys
import traceback
from contextvars import ContextVar
from typing import Any

import durable_workflow
import httpx
from durable_workflow import Client

from tests.sdk.programs import (
    activity_calls,
    administration_calls,
    schedule_calls,
    worker_calls,
    workflow_calls,
)
from tests.sdk.programs.connection import connect
from tests.sdk.programs.made_up_calls import reaching
from tests.sdk.programs.method_stage import Scenario, Stage

# A scenario for each method that works, under its name.
SCENARIOS = (
    administration_calls,
    workflow_calls,
    activity_calls,
    schedule_calls,
    worker_calls,
)
HANDLES = ("WorkflowHandle", "ScheduleHandle", "StandaloneActivityHandle")
# Of the names of scenarios.
PREFIXES = {
    "Client": "",
    "WorkflowHandle": "handle_",
    "ScheduleHandle": "schedule_",
    "StandaloneActivityHandle": "standalone_",
}
AT_ONCE = 8
FIRST_REFUSAL = 400

Refusal = tuple[int, Any]
_refusals: ContextVar[list[Refusal]] = ContextVar("refusals")
_send = httpx.AsyncClient.send


async def send(self: httpx.AsyncClient, *args: Any, **options: Any) -> httpx.Response:
    """As httpx sends, and notes the refusals of the scenario that asks."""
    answer = await _send(self, *args, **options)
    if answer.status_code >= FIRST_REFUSAL:
        await answer.aread()
        try:
            reason = answer.json().get("reason")
        except ValueError:
            reason = None
        _refusals.get().append((answer.status_code, reason))
    return answer


def methods() -> dict[str, Any]:
    """Every public method, by its name with that of its class."""
    owners = {"Client": Client} | {
        name: getattr(durable_workflow, name)
        for name in HANDLES
        if hasattr(durable_workflow, name)
    }
    return {
        f"{owner}.{name}": method
        for owner, cls in owners.items()
        for name, method in inspect.getmembers(cls, inspect.isfunction)
        if not name.startswith("_")
    }


def scenario_of(label: str, reached: frozenset[str]) -> Scenario | None:
    owner, _, name = label.partition(".")
    if label in reached:
        return reaching(owner, name)
    if owner not in PREFIXES:
        return None
    wanted = f"{PREFIXES[owner]}{name}"
    found = (vars(module).get(wanted) for module in SCENARIOS)
    return next((scenario for scenario in found if scenario is not None), None)


async def call(scenario: Scenario, limit: asyncio.Semaphore) -> dict[str, Any]:
    refusals: list[Refusal] = []
    _refusals.set(refusals)
    async with limit, connect() as client:
        try:
            await scenario(Stage(client))
        except AssertionError:
            return {"outcome": "failed", "detail": traceback.format_exc()}
        except Exception as error:
            if refusals:
                return {"outcome": "refused", "detail": refusals[-1]}
            is_told = type(error).__module__.startswith("durable_workflow")
            # Some methods say so that they want what only a worker has.
            if is_told or isinstance(error, ValueError):
                return {"outcome": "declined", "detail": type(error).__name__}
            return {"outcome": "failed", "detail": traceback.format_exc()}
    return {"outcome": "works", "detail": None}


async def main() -> None:
    reached = frozenset(json.load(sys.stdin))
    httpx.AsyncClient.send = send  # type: ignore[method-assign]
    limit = asyncio.Semaphore(AT_ONCE)
    found: dict[str, Any] = {}

    async def one(label: str) -> None:
        scenario = scenario_of(label, reached)
        if scenario is None:
            found[label] = {"outcome": "unknown", "detail": None}
        else:
            found[label] = await call(scenario, limit)

    await asyncio.gather(*map(one, methods()))
    print(json.dumps(found))


if __name__ == "__main__":
    asyncio.run(main())

"""A workflow and its activities, as lists."""

from __future__ import annotations

import os
from collections.abc import Generator
from pathlib import Path
from typing import Any

from durable_workflow import activity, workflow
from durable_workflow.workflow import WorkflowContext

from tests.support.waiting import eventually

FOLDER = "DW_TEST_MARKS"


@workflow.defn(name="greet")
class Greet:
    def run(self, ctx: WorkflowContext, name: str) -> Generator[Any, Any, Any]:
        greeting = yield ctx.schedule_activity("make-greeting", [name])
        return {"greeting": greeting}


@workflow.defn(name="linger")
class Linger:
    def run(self, ctx: WorkflowContext) -> Generator[Any, Any, Any]:
        return (yield ctx.schedule_activity("wait-for-mark", []))


@activity.defn(name="make-greeting")
async def make_greeting(name: str) -> str:
    return f"hello, {name}"


@activity.defn(name="wait-for-mark")
async def wait_for_mark() -> str:
    """Says that it runs, and goes on when it may."""
    folder = Path(os.environ[FOLDER])
    (folder / "running").touch()
    await eventually((folder / "released").exists, deadline_seconds=30)
    return "done"


WORKFLOWS = [Greet, Linger]
ACTIVITIES = [make_greeting, wait_for_mark]

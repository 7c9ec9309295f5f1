"""Workflows of activities, timers and markers."""

from __future__ import annotations

import uuid
from collections.abc import Generator
from typing import Any, TypeAlias

import durable_workflow
from durable_workflow import workflow
from durable_workflow.workflow import ActivityRetryPolicy, WorkflowContext

from tests.sdk.programs.scenario_values import CHAIN_LENGTH, STAGE_ATTRIBUTE

ACTIVITY_SECONDS = 20

Steps: TypeAlias = Generator[Any, Any, Any]


class _NeverRaised(Exception):
    """For releases whose workflows cannot see that an activity failed."""


ActivityFailed = getattr(durable_workflow, "ActivityFailed", _NeverRaised)


@workflow.defn(name="sdk.hello")
class Hello:
    def run(self, ctx: WorkflowContext, name: str) -> Steps:
        greeting = yield ctx.schedule_activity(
            "sdk.greet", [name], start_to_close_timeout=ACTIVITY_SECONDS
        )
        return {"greeting": greeting}


@workflow.defn(name="sdk.chain")
class Chain:
    def run(self, ctx: WorkflowContext, total: int) -> Steps:
        for number in range(1, CHAIN_LENGTH + 1):
            total = yield ctx.schedule_activity("sdk.add", [total, number])
        return total


@workflow.defn(name="sdk.fan")
class Fan:
    def run(self, ctx: WorkflowContext, width: int) -> Steps:
        squares = yield [
            ctx.schedule_activity("sdk.square", [number]) for number in range(width)
        ]
        return squares


@workflow.defn(name="sdk.refused")
class Refused:
    def run(self, ctx: WorkflowContext, reason: str) -> Steps:
        policy = ActivityRetryPolicy(max_attempts=5, initial_interval_seconds=1.0)
        yield ctx.schedule_activity("sdk.refuse", [reason], retry_policy=policy)
        return "unreachable"


@workflow.defn(name="sdk.timed")
class Timed:
    """An activity with time-outs. Returns its result, or that it was timed out."""

    def run(
        self,
        ctx: WorkflowContext,
        activity_type: str,
        arguments: list[Any],
        attempts: int,
        options: dict[str, Any],
    ) -> Steps:
        policy = ActivityRetryPolicy(
            max_attempts=attempts, initial_interval_seconds=1.0
        )
        try:
            result = yield ctx.schedule_activity(
                activity_type, arguments, retry_policy=policy, **options
            )
        except ActivityFailed:
            return "timed out"
        return result


@workflow.defn(name="sdk.nap")
class Nap:
    def run(self, ctx: WorkflowContext, seconds: int) -> Steps:
        yield ctx.start_timer(seconds)
        return "rested"


@workflow.defn(name="sdk.broken")
class Broken:
    def run(self, ctx: WorkflowContext, reason: str) -> Steps:
        yield ctx.schedule_activity("sdk.greet", [reason])
        raise ValueError(reason)


@workflow.defn(name="sdk.large")
class Large:
    def run(self, ctx: WorkflowContext, text: str) -> Steps:
        answer = yield ctx.schedule_activity("sdk.enlarge", [text[:8]])
        return answer


@workflow.defn(name="sdk.markers")
class Markers:
    """Replays once between the markers; ``is_stable``: the side effect survived it."""

    def run(self, ctx: WorkflowContext, stage: str) -> Steps:
        token = yield ctx.side_effect(lambda: uuid.uuid4().hex)
        version = yield ctx.get_version("greeting", 1, 3)
        yield ctx.upsert_search_attributes({STAGE_ATTRIBUTE: "begun"})
        greeting = yield ctx.schedule_activity("sdk.greet", [token])
        again = yield ctx.get_version("farewell", 1, 1)
        yield ctx.upsert_search_attributes({STAGE_ATTRIBUTE: stage})
        return {
            "is_stable": greeting == f"hello, {token}",
            "versions": [version, again],
        }


@workflow.defn(name="sdk.patched")
class Patched:
    def run(self, ctx: WorkflowContext) -> Steps:
        is_patched = yield ctx.patched("greet-by-name")
        greeting = yield ctx.schedule_activity("sdk.greet", ["ada"])
        return [is_patched, greeting]


WORKFLOWS = (
    Hello,
    Chain,
    Fan,
    Refused,
    Timed,
    Nap,
    Broken,
    Large,
    Markers,
    Patched,
)

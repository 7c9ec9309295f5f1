"""Workflows and activities that every release of the SDK must bring to their end.

Runs in the environment of one SDK release: nothing but that SDK, the standard library
and the order example is imported here.
"""

from __future__ import annotations

from collections.abc import Generator
from typing import Any, TypeAlias

from durable_workflow import NonRetryableError, activity, workflow
from durable_workflow.workflow import ActivityRetryPolicy, WorkflowContext
from scenario_values import (
    CHAIN_LENGTH,
    CHAIN_START,
    CONTINUATIONS,
    FAN_WIDTH,
    NAP_SECONDS,
    ORDER,
    TALLY_NUMBERS,
    large_text,
)

from examples.order_processing.activities import ACTIVITIES as ORDER_ACTIVITIES
from examples.order_processing.workflow import ProcessOrder

ACTIVITY_SECONDS = 20

Steps: TypeAlias = Generator[Any, Any, Any]


@activity.defn(name="sdk.greet")
async def greet(name: str) -> str:
    return f"hello, {name}"


@activity.defn(name="sdk.add")
async def add(total: int, number: int) -> int:
    return total + number


@activity.defn(name="sdk.square")
async def square(number: int) -> int:
    return number * number


@activity.defn(name="sdk.refuse")
async def refuse(reason: str) -> None:
    raise NonRetryableError(reason)


@activity.defn(name="sdk.enlarge")
async def enlarge(seed: str) -> str:
    return large_text(seed)


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


@workflow.defn(name="sdk.nap")
class Nap:
    def run(self, ctx: WorkflowContext, seconds: int) -> Steps:
        yield ctx.start_timer(seconds)
        return "rested"


@workflow.defn(name="sdk.countdown")
class Countdown:
    def run(self, ctx: WorkflowContext, left: int) -> Steps:
        if left:
            yield ctx.continue_as_new(left - 1)
        return "lift-off"


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


@workflow.defn(name="sdk.tally")
class Tally:
    """Tells how far it has come, running, resting or finished."""

    def __init__(self) -> None:
        self.total = 0

    def run(self, ctx: WorkflowContext, numbers: list[int], rest_seconds: int) -> Steps:
        for number in numbers:
            self.total = yield ctx.schedule_activity("sdk.add", [self.total, number])
        if rest_seconds:
            yield ctx.start_timer(rest_seconds)
        return self.total

    @workflow.query("total")
    def tell(self, factor: int = 1) -> dict[str, int]:
        return {"total": self.total * factor}

    @workflow.query("fault")
    def fail(self) -> None:
        raise ValueError("the tally cannot say")


ACTIVITIES = (greet, add, square, refuse, enlarge, *ORDER_ACTIVITIES)

# Scenario: workflow class and its arguments.
SCENARIOS: dict[str, tuple[Any, list[Any]]] = {
    "hello": (Hello, ["ada"]),
    "order": (ProcessOrder, [ORDER]),
    "chain": (Chain, [CHAIN_START]),
    "fan": (Fan, [FAN_WIDTH]),
    "refused": (Refused, ["out of stock"]),
    "nap": (Nap, [NAP_SECONDS]),
    "countdown": (Countdown, [CONTINUATIONS]),
    "broken": (Broken, ["wrong turn"]),
    "large": (Large, [large_text("input")]),
    "tally": (Tally, [TALLY_NUMBERS, 0]),
}
WORKFLOWS = tuple(workflow_class for workflow_class, _ in SCENARIOS.values())

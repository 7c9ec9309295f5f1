"""Workflows that start others or continue as new."""

from __future__ import annotations

from typing import Any

from durable_workflow import ChildWorkflowFailed, workflow
from durable_workflow.workflow import ChildWorkflowRetryPolicy, WorkflowContext

from tests.sdk.programs import marks
from tests.sdk.programs.basic_workflows import Steps


@workflow.defn(name="sdk.countdown")
class Countdown:
    def run(self, ctx: WorkflowContext, left: int) -> Steps:
        if left:
            yield ctx.continue_as_new(left - 1)
        return "lift-off"


@workflow.defn(name="sdk.parent")
class Parent:
    """One child. Returns its result, or that it failed."""

    def run(
        self, ctx: WorkflowContext, child_type: str, arguments: list[Any], attempts: int
    ) -> Steps:
        policy = ChildWorkflowRetryPolicy(
            max_attempts=attempts, initial_interval_seconds=1.0
        )
        try:
            result = yield ctx.start_child_workflow(
                child_type, arguments, retry_policy=policy
            )
        except ChildWorkflowFailed:
            return "child failed"
        return result


@workflow.defn(name="sdk.parent_of_many")
class ParentOfMany:
    def run(self, ctx: WorkflowContext, names: list[str]) -> Steps:
        greetings = yield [
            ctx.start_child_workflow("sdk.hello", [name]) for name in names
        ]
        return [greeting["greeting"] for greeting in greetings]


@workflow.defn(name="sdk.parent_of_waiting")
class ParentOfWaiting:
    """A child for each parent-close policy; each waits for a signal."""

    def run(self, ctx: WorkflowContext, policies: list[str]) -> Steps:
        results = yield [
            ctx.start_child_workflow(
                "sdk.approval", [1, None], parent_close_policy=policy
            )
            for policy in policies
        ]
        return results


@workflow.defn(name="sdk.fickle")
class Fickle:
    """Fails in its first run."""

    def run(self, ctx: WorkflowContext, job: str) -> Steps:
        count = yield ctx.side_effect(lambda: marks.number(job, "run"))
        if count == 1:
            raise ValueError("not yet")
        return "at last"


WORKFLOWS = (Countdown, Parent, ParentOfMany, ParentOfWaiting, Fickle)

"""Workflows that wait for signals and updates and answer queries."""

from __future__ import annotations

from typing import Any

import durable_workflow
from durable_workflow import workflow
from durable_workflow.workflow import WorkflowContext

from tests.sdk.programs import marks
from tests.sdk.programs.basic_workflows import Steps

# From 2.0 on a validator needs a server that dispatches validation tasks.
HAS_VALIDATORS = durable_workflow.__version__.startswith("0.")


class _Approved:
    def __init__(self) -> None:
        self.approvers: list[Any] = []

    @workflow.signal("approve")
    def on_approve(self, by: Any) -> None:
        self.approvers.append(by)

    @workflow.query("approvers")
    def list_approvers(self) -> list[Any]:
        return sorted(self.approvers)


@workflow.defn(name="sdk.approval")
class Approval(_Approved):
    def run(self, ctx: WorkflowContext, needed: int, timeout: float | None) -> Steps:
        is_approved = yield ctx.wait_condition(
            lambda: len(self.approvers) >= needed, key="approved", timeout=timeout
        )
        return [is_approved, sorted(self.approvers)]


@workflow.defn(name="sdk.ballot")
class Ballot(_Approved):
    """Its first task stays leased until the client has sent all approvals."""

    def run(self, ctx: WorkflowContext, job: str, needed: int) -> Steps:
        yield ctx.side_effect(lambda: marks.hold(job))
        yield ctx.wait_condition(lambda: len(self.approvers) >= needed, key="counted")
        return sorted(self.approvers)


@workflow.defn(name="sdk.busy")
class Busy(_Approved):
    """Approved while its activity runs."""

    def run(self, ctx: WorkflowContext, job: str) -> Steps:
        lingered = yield ctx.schedule_activity("sdk.linger", [job])
        yield ctx.wait_condition(lambda: bool(self.approvers), key="approved")
        return [lingered, *self.approvers]


@workflow.defn(name="sdk.relay")
class Relay(_Approved):
    """Continues as new while its approvals arrive."""

    def run(self, ctx: WorkflowContext, job: str, is_successor: bool) -> Steps:
        if not is_successor:
            yield ctx.side_effect(lambda: marks.hold(job))
            return ctx.continue_as_new(job, True)
        yield ctx.wait_condition(lambda: len(self.approvers) >= 2, key="approved")
        return sorted(self.approvers)


@workflow.defn(name="sdk.stages")
class Stages:
    """One wait after the other, each for a signal of its own."""

    def __init__(self) -> None:
        self.reached: list[str] = []

    @workflow.signal("reach")
    def on_reach(self, stage: str) -> None:
        self.reached.append(stage)

    def run(self, ctx: WorkflowContext, timeouts: list[float | None]) -> Steps:
        outcomes = []
        for index, timeout in enumerate(timeouts):
            outcome = yield self._wait(ctx, f"stage-{index}", timeout)
            outcomes.append(outcome)
            yield ctx.schedule_activity("sdk.square", [index])
        return outcomes

    def _wait(self, ctx: WorkflowContext, stage: str, timeout: float | None) -> Any:
        return ctx.wait_condition(
            lambda: stage in self.reached, key=stage, timeout=timeout
        )


@workflow.defn(name="sdk.beads")
class Beads:
    """Makes no payload before its result, so that each task may go to any release."""

    def __init__(self) -> None:
        self.beads: list[int] = []

    @workflow.signal("bead")
    def on_bead(self, bead: int) -> None:
        self.beads.append(bead)

    def run(self, ctx: WorkflowContext, count: int) -> Steps:
        for index in range(count):
            yield self._wait(ctx, index)
            yield ctx.start_timer(0)
        return self.beads

    def _wait(self, ctx: WorkflowContext, index: int) -> Any:
        return ctx.wait_condition(lambda: len(self.beads) > index, key=f"bead-{index}")


@workflow.defn(name="sdk.account")
class Account:
    """Open until an update closes it."""

    def __init__(self) -> None:
        self.total = 0
        self.is_closed = False

    @workflow.update("add")
    def add(self, amount: int) -> int:
        self.total += amount
        return self.total

    @workflow.update("overdraw")
    def overdraw(self, amount: int) -> int:
        raise ValueError(f"no credit for {amount}")

    @workflow.update("close")
    def close(self) -> str:
        self.is_closed = True
        return "closed"

    @workflow.query("total")
    def read_total(self, factor: int = 1) -> int:
        return factor * self.total

    @workflow.query("fault")
    def fail_to_read(self) -> int:
        raise ValueError("the books are lost")

    def run(self, ctx: WorkflowContext) -> Steps:
        yield ctx.wait_condition(lambda: self.is_closed, key="closed")
        return self.total


@workflow.defn(name="sdk.guarded")
class Guarded:
    """Takes one amount, which its validator must allow."""

    def __init__(self) -> None:
        self.amount = 0

    @workflow.update("set")
    def set_amount(self, amount: int) -> int:
        self.amount = amount
        return amount

    if HAS_VALIDATORS:

        @workflow.update_validator("set")
        def check_amount(self, amount: int) -> None:
            if amount < 1:
                raise ValueError(f"{amount} is not positive")

    def run(self, ctx: WorkflowContext) -> Steps:
        yield ctx.wait_condition(lambda: self.amount > 0, key="set")
        return self.amount


WORKFLOWS = (Approval, Ballot, Busy, Relay, Stages, Beads, Account, Guarded)

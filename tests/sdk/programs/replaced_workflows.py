"""One workflow type in two definitions, of which a worker has one.

The keys of their waits differ, so that neither can go on with a run of the other.
"""

from __future__ import annotations

from durable_workflow import workflow
from durable_workflow.workflow import WorkflowContext

from tests.sdk.programs.basic_workflows import Steps

SIGNALS = 2


@workflow.defn(name="sdk.replaced")
class First:
    def __init__(self) -> None:
        self.count = 0

    @workflow.signal("go")
    def on_go(self) -> None:
        self.count += 1

    def run(self, ctx: WorkflowContext) -> Steps:
        for index in range(SIGNALS):
            yield ctx.wait_condition(
                lambda wanted=index: self.count > wanted, key=f"first-{index}"
            )
            yield ctx.start_timer(0)
        return "first"


@workflow.defn(name="sdk.replaced")
class Second:
    def __init__(self) -> None:
        self.count = 0

    @workflow.signal("go")
    def on_go(self) -> None:
        self.count += 1

    def run(self, ctx: WorkflowContext) -> Steps:
        for index in range(SIGNALS):
            yield ctx.wait_condition(
                lambda wanted=index: self.count > wanted, key=f"second-{index}"
            )
            yield ctx.start_timer(0)
        return "second"


DEFINITIONS = {"first": First, "second": Second}

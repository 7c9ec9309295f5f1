"""The workflow: what happens to an order, in which order."""

from __future__ import annotations

from collections.abc import Generator
from typing import Any, TypeAlias

from durable_workflow import workflow
from durable_workflow.workflow import ActivityRetryPolicy, WorkflowContext

WORKFLOW_TYPE = "orders.process"
RESERVE = "orders.reserve"
CHARGE = "orders.charge"
NOTIFY = "orders.notify"

PACKING_SECONDS = 2
RESERVE_RETRIES = ActivityRetryPolicy(
    max_attempts=5, initial_interval_seconds=1.0, backoff_coefficient=1.0
)

Order: TypeAlias = dict[str, Any]


@workflow.defn(name=WORKFLOW_TYPE)
class ProcessOrder:
    """Input: ``{order_id, item, quantity, unit_price_cents}``."""

    def run(
        self, ctx: WorkflowContext, order: Order
    ) -> Generator[Any, Any, dict[str, Any]]:
        reservation = yield ctx.schedule_activity(
            RESERVE,
            [order],
            retry_policy=RESERVE_RETRIES,
            start_to_close_timeout=10,
        )
        payment, notice = yield [
            ctx.schedule_activity(CHARGE, [order], start_to_close_timeout=10),
            ctx.schedule_activity(NOTIFY, [order], start_to_close_timeout=10),
        ]
        yield ctx.start_timer(PACKING_SECONDS)
        return {
            "order_id": order["order_id"],
            "status": "shipped",
            "reservation": reservation,
            "payment": payment,
            "notice": notice,
        }

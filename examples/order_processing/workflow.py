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

APPROVE = "approve"
STATUS = "status"
CHANGE_ADDRESS = "change_address"

APPROVAL_SECONDS = 60
PACKING_SECONDS = 2
RESERVE_RETRIES = ActivityRetryPolicy(
    max_attempts=5, initial_interval_seconds=1.0, backoff_coefficient=1.0
)

WAITING = "waiting for approval"
PACKING = "packing"

Order: TypeAlias = dict[str, Any]


@workflow.defn(name=WORKFLOW_TYPE)
class ProcessOrder:
    """Input: ``{order_id, item, quantity, unit_price_cents, address}``.

    Nothing is charged or sent before the signal ``approve``; without it the order
    expires. Until it is packed its address can be changed.
    """

    def __init__(self) -> None:
        self._status = "reserving"
        self._new_address: str | None = None
        self._approved_by: str | None = None

    @workflow.signal(APPROVE)
    def approve(self, by: str) -> None:
        self._approved_by = by

    @workflow.query(STATUS)
    def status(self) -> str:
        return self._status

    @workflow.update(CHANGE_ADDRESS)
    def change_address(self, address: str) -> str:
        if self._status == PACKING:
            raise ValueError("the order is being packed")
        self._new_address = address
        return address

    def run(
        self, ctx: WorkflowContext, order: Order
    ) -> Generator[Any, Any, dict[str, Any]]:
        reservation = yield ctx.schedule_activity(
            RESERVE,
            [order],
            retry_policy=RESERVE_RETRIES,
            start_to_close_timeout=10,
        )
        self._status = WAITING
        is_approved = yield ctx.wait_condition(
            lambda: self._approved_by is not None,
            key="approved",
            timeout=APPROVAL_SECONDS,
        )
        if not is_approved:
            return {"order_id": order["order_id"], "status": "expired"}
        self._status = "charging"
        payment, notice = yield [
            ctx.schedule_activity(CHARGE, [order], start_to_close_timeout=10),
            ctx.schedule_activity(NOTIFY, [order], start_to_close_timeout=10),
        ]
        self._status = PACKING
        yield ctx.start_timer(PACKING_SECONDS)
        return {
            "order_id": order["order_id"],
            "status": "shipped",
            "address": self._new_address or order["address"],
            "approved_by": self._approved_by,
            "reservation": reservation,
            "payment": payment,
            "notice": notice,
        }


WORKFLOWS = (ProcessOrder,)

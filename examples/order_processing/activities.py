"""The activities: the side effects of an order, pretended."""

from __future__ import annotations

from typing import Any

from durable_workflow import activity

from examples.order_processing.workflow import CHARGE, NOTIFY, RESERVE, Order

RESERVE_FAILURES = 2


class WarehouseBusy(Exception):
    """The warehouse did not answer; worth another attempt."""


@activity.defn(name=RESERVE)
async def reserve(order: Order) -> dict[str, Any]:
    """Reserve stock. The first attempts fail, to show the server's retries."""
    attempt = activity.context().info.attempt_number
    if attempt <= RESERVE_FAILURES:
        raise WarehouseBusy(f"warehouse busy at attempt {attempt}")
    return {"item": order["item"], "quantity": order["quantity"], "attempts": attempt}


@activity.defn(name=CHARGE)
async def charge(order: Order) -> dict[str, Any]:
    """Take the money."""
    return {"charged_cents": order["quantity"] * order["unit_price_cents"]}


@activity.defn(name=NOTIFY)
async def notify(order: Order) -> str:
    """Tell the customer."""
    return f"mail about {order['order_id']} sent"


ACTIVITIES = (reserve, charge, notify)

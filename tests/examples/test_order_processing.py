"""The order example, driven by the SDK's own in-process tools."""

from __future__ import annotations

from typing import Any

from durable_workflow import serializer, workflow
from durable_workflow.testing import WorkflowEnvironment

from examples.order_processing.activities import ACTIVITIES, RESERVE_FAILURES
from examples.order_processing.history_table import history_table
from examples.order_processing.workflow import (
    APPROVE,
    CHANGE_ADDRESS,
    CHARGE,
    NOTIFY,
    RESERVE,
    RESERVE_RETRIES,
    STATUS,
    WAITING,
    ProcessOrder,
)

ORDER = {
    "order_id": "o-1",
    "item": "cup",
    "quantity": 2,
    "unit_price_cents": 5,
    "address": "1 Old Lane",
}


def blob(value: object) -> str:
    return serializer.encode(value, codec="avro")


def event(event_type: str, **payload: Any) -> dict[str, Any]:
    return {
        "event_type": event_type,
        "payload": {"payload_codec": "avro", **payload},
    }


STARTED = event("WorkflowStarted", timestamp="2026-01-01T00:00:00Z")
RESERVED = event("ActivityCompleted", activity_type=RESERVE, result=blob("r"))
WAIT_OPENED = event("ConditionWaitOpened", condition_wait_id="w-1")
APPROVED = event("SignalReceived", signal_name=APPROVE, arguments=blob(["ada"]))
UPDATE = {
    "update_id": "u-1",
    "update_name": CHANGE_ADDRESS,
    "arguments": blob(["2 New Street"]),
}
PAID = [
    event("ActivityCompleted", activity_type=CHARGE, result=blob("p")),
    event("ActivityCompleted", activity_type=NOTIFY, result=blob("n")),
]
PACKED = event("TimerFired")


def replay(*events: dict[str, Any]) -> Any:
    """The command with which the workflow ends after these events."""
    return workflow.replay(ProcessOrder, [STARTED, *events], [ORDER]).commands[-1]


def apply_update(*events: dict[str, Any]) -> Any:
    history = [STARTED, *events, event("UpdateAccepted", **UPDATE)]
    return workflow.apply_update(ProcessOrder, history, [ORDER], "u-1")


def test_order_collects_what_the_activities_answer() -> None:
    environment = WorkflowEnvironment()
    environment.register_activity(RESERVE, lambda order: {"item": order["item"]})
    environment.register_activity(CHARGE, lambda order: order["quantity"] * 5)
    environment.register_activity(NOTIFY, lambda order: order["order_id"])
    environment.signal(APPROVE, ["ada"])
    result = environment.execute_workflow(ProcessOrder, ORDER)
    assert result == {
        "order_id": "o-1",
        "status": "shipped",
        "address": "1 Old Lane",
        "approved_by": "ada",
        "reservation": {"item": "cup"},
        "payment": 10,
        "notice": "o-1",
    }


def test_order_without_approval_expires() -> None:
    timeout = event(
        "TimerFired", timer_kind="condition_timeout", condition_wait_id="w-1"
    )
    command = replay(RESERVED, WAIT_OPENED, timeout)
    assert command.result == {"order_id": "o-1", "status": "expired"}


def test_status_query_tells_that_the_order_waits() -> None:
    history = [STARTED, RESERVED, WAIT_OPENED]
    assert workflow.query_state(ProcessOrder, history, [ORDER], STATUS) == WAITING


def test_address_update_changes_where_the_order_goes() -> None:
    assert apply_update(RESERVED, WAIT_OPENED).result == "2 New Street"
    applied = event("UpdateApplied", **UPDATE)
    shipped = replay(RESERVED, WAIT_OPENED, applied, APPROVED, *PAID, PACKED)
    assert shipped.result["address"] == "2 New Street"


def test_address_update_is_refused_while_the_order_is_packed() -> None:
    command = apply_update(RESERVED, WAIT_OPENED, APPROVED, *PAID)
    assert "being packed" in command.message


def test_order_activities_are_those_the_workflow_schedules() -> None:
    names = {activity.__activity_name__ for activity in ACTIVITIES}  # type: ignore[attr-defined]
    assert names == {RESERVE, CHARGE, NOTIFY}


def test_order_retries_outlast_the_warehouse() -> None:
    assert RESERVE_RETRIES.max_attempts > RESERVE_FAILURES


def test_history_table_shows_steps_and_decoded_payloads() -> None:
    completed = event(
        "ActivityCompleted", sequence=3, activity_type="a.b", result=blob({"ok": True})
    )
    failed = event(
        "UpdateCompleted", update_name="u", failure_id="f-1", message="not now"
    )
    events = [
        {"event_type": "SomethingNew", "payload": None},
        completed,
        event("SignalReceived", signal_name="go"),
        event("UpdateAccepted", **UPDATE),
        failed,
        event("ConditionWaitOpened", sequence=4, condition_key="k", timeout_seconds=9),
    ]
    table = history_table(
        {**row, "sequence": number} for number, row in enumerate(events, 8)
    )
    assert table.splitlines() == [
        "#   event                step  what",
        "--  -------------------  ----  ----",
        "8   SomethingNew",
        "9   ActivityCompleted    3     a.b = {'ok': True}",
        "10  SignalReceived             go",
        "11  UpdateAccepted             change_address ['2 New Street']",
        "12  UpdateCompleted            u: not now",
        "13  ConditionWaitOpened  4     k, at most 9 s",
    ]

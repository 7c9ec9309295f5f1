"""The order example, driven by the SDK's own in-process environment."""

from __future__ import annotations

from durable_workflow import serializer
from durable_workflow.testing import WorkflowEnvironment

from examples.order_processing.activities import ACTIVITIES, RESERVE_FAILURES
from examples.order_processing.history_table import history_table
from examples.order_processing.workflow import (
    CHARGE,
    NOTIFY,
    RESERVE,
    RESERVE_RETRIES,
    ProcessOrder,
)

ORDER = {"order_id": "o-1", "item": "cup", "quantity": 2, "unit_price_cents": 5}


def test_order_collects_what_the_activities_answer() -> None:
    environment = WorkflowEnvironment()
    environment.register_activity(RESERVE, lambda order: {"item": order["item"]})
    environment.register_activity(CHARGE, lambda order: order["quantity"] * 5)
    environment.register_activity(NOTIFY, lambda order: order["order_id"])
    result = environment.execute_workflow(ProcessOrder, ORDER)
    assert result == {
        "order_id": "o-1",
        "status": "shipped",
        "reservation": {"item": "cup"},
        "payment": 10,
        "notice": "o-1",
    }


def test_order_activities_are_those_the_workflow_schedules() -> None:
    names = {activity.__activity_name__ for activity in ACTIVITIES}  # type: ignore[attr-defined]
    assert names == {RESERVE, CHARGE, NOTIFY}


def test_order_retries_outlast_the_warehouse() -> None:
    assert RESERVE_RETRIES.max_attempts > RESERVE_FAILURES


def test_history_table_shows_steps_and_decoded_results() -> None:
    blob = serializer.encode({"ok": True}, codec="avro")
    table = history_table(
        [
            {"sequence": 1, "event_type": "SomethingNew", "payload": None},
            {
                "sequence": 12,
                "event_type": "ActivityCompleted",
                "payload": {
                    "sequence": 3,
                    "activity_type": "a.b",
                    "result": blob,
                    "payload_codec": "avro",
                },
            },
        ]
    )
    assert table.splitlines() == [
        "#   event              step  what",
        "--  -----------------  ----  ----",
        "1   SomethingNew",
        "12  ActivityCompleted  3     a.b = {'ok': True}",
    ]

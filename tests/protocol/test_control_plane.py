"""The nested object of workflow operations against recorded bodies."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from dwserver.protocol.control_plane import (
    CONTRACTS,
    LEGACY_FIELDS,
    PROJECTED_FIELDS,
    Operation,
    attach_envelope,
    envelope,
    request_contract,
)
from tests.protocol.recordings import masked, recording

HERE = Path(__file__).parent
BODIES = recording(HERE, "operation_bodies.json")

# Published since the recording (spec/control-plane-api.md §4.3).
ADDED_TO_CONTRACT = {"rejection_fields", "rejection_reasons"}


def label(recorded: dict[str, Any]) -> str:
    return f"{recorded['body']['control_plane']['operation']}-{recorded['status']}"


@pytest.mark.parametrize("recorded", BODIES, ids=label)
def test_recorded_bodies(recorded: dict[str, Any]) -> None:
    body = dict(recorded["body"])
    nested = body.pop("control_plane")
    operation = Operation(nested["operation"])
    ours = masked(envelope(operation, nested.get("operation_name"), body))
    ours["contract"] = {
        key: value
        for key, value in ours["contract"].items()
        if key not in ADDED_TO_CONTRACT
    }
    # Key order is part of what clients print.
    assert list(ours.items()) == list(nested.items())


def test_the_recording_covers_every_operation() -> None:
    seen = {recorded["body"]["control_plane"]["operation"] for recorded in BODIES}
    assert seen == {str(operation) for operation in Operation}
    assert set(CONTRACTS) == set(Operation)


def test_start_publishes_how_it_refuses() -> None:
    contract = envelope(Operation.START, None, {})["contract"]
    assert contract["rejection_reasons"] == [
        "duplicate_not_allowed",
        "task_queue_draining",
        "compatibility_blocked",
    ]
    assert "rejection_reason" in contract["rejection_fields"]
    assert "rejection_fields" not in envelope(Operation.LIST, None, {})["contract"]


def test_nulls_are_projected_and_absent_keys_are_not() -> None:
    nested = envelope(Operation.DESCRIBE, None, {"run_id": None, "secret": 1})
    assert nested["run_id"] is None
    assert nested["workflow_id"] is None
    assert not {"secret", "status"} & set(nested)


@pytest.mark.parametrize("name", [None, ""])
def test_an_unnamed_signal_has_no_operation_name(name: str | None) -> None:
    assert "operation_name" not in envelope(Operation.SIGNAL, name, {})


def test_operations_without_a_name_ignore_one() -> None:
    assert "operation_name" not in envelope(Operation.CANCEL, "x", {})


def test_ids_of_the_path_are_added_where_the_payload_lacks_them() -> None:
    payload = {"message": "no", "run_id": None}
    body = attach_envelope(
        payload, Operation.SIGNAL, "approve", workflow_id="w", run_id="r"
    )
    assert list(body) == ["message", "run_id", "workflow_id", "control_plane"]
    assert body["run_id"] is None
    assert body["control_plane"]["workflow_id"] == "w"
    assert body["control_plane"]["operation_name_field"] == "signal_name"
    assert payload == {"message": "no", "run_id": None}


def test_no_legacy_name_is_projected() -> None:
    assert not set(LEGACY_FIELDS) & set(PROJECTED_FIELDS)


def test_clients_find_what_they_insist_on() -> None:
    contract = request_contract()
    assert contract["schema"] == "durable-workflow.v2.control-plane-request.contract"
    assert contract["version"] == 1
    stages = contract["operations"]["update"]["fields"]["wait_for"]["canonical_values"]
    assert stages == ["accepted", "completed"]

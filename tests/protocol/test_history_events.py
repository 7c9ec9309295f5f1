"""History events as both planes show them."""

from __future__ import annotations

import base64
from typing import Any

import orjson
import pytest

from dwserver.engine.payloads import PLAIN_KEY
from dwserver.protocol.history_events import (
    control_plane_event,
    with_blobs,
    worker_event,
)
from dwserver.protocol.payloads.framing import Framing
from tests.support.builders import NOON, an_event
from tests.support.wrapper_payloads import wrapper_value

SHOWN_NOON = "2026-04-13T12:00:00.000000Z"


def shown(text: bytes) -> dict[str, Any]:
    """Parsed; a key that stands twice is an error."""
    event: dict[str, Any] = orjson.loads(text)
    assert orjson.loads(orjson.dumps(event)) == event
    return event


def test_a_worker_gets_ids_and_payload() -> None:
    event = an_event(
        7,
        recorded_at=NOON,
        payload=b'{"a":[1,{"b":null}]}',
        task_id="task-1",
        command_id=None,
    )
    assert shown(worker_event(event)) == {
        "id": event.id,
        "sequence": 7,
        "event_type": "TimerScheduled",
        "payload": {"a": [1, {"b": None}]},
        "workflow_task_id": "task-1",
        "workflow_command_id": None,
        "recorded_at": SHOWN_NOON,
    }


def test_an_operator_gets_the_instant_as_timestamp() -> None:
    event = an_event(7, recorded_at=NOON, payload=b'{"a":1}', task_id="task-1")
    assert shown(control_plane_event(event)) == {
        "sequence": 7,
        "event_type": "TimerScheduled",
        "timestamp": SHOWN_NOON,
        "payload": {"a": 1},
    }
    assert shown(control_plane_event(event, b"{}"))["payload"] == {}


def test_a_held_event_is_shown_where_and_when_it_was_released() -> None:
    event = an_event(-7, recorded_at=NOON + 5)
    found = shown(worker_event(event, sequence=9, recorded_at=NOON))
    assert (found["sequence"], found["recorded_at"]) == (9, SHOWN_NOON)


@pytest.mark.parametrize("payload", [b"{}", b'{"workflow_type":"orders.Ship"}'])
def test_the_start_carries_the_clock_of_the_workflow(payload: bytes) -> None:
    event = an_event(2, event_type="WorkflowStarted", recorded_at=NOON, payload=payload)
    expected = {**orjson.loads(payload), "timestamp": SHOWN_NOON}
    assert shown(worker_event(event))["payload"] == expected
    # Operators see it beside the payload.
    assert shown(control_plane_event(event))["payload"] == orjson.loads(payload)


def plain(json: str) -> dict[str, str]:
    return {PLAIN_KEY: json}


@pytest.mark.parametrize("framing", Framing)
def test_unencoded_values_become_blobs_wherever_they_stand(framing: Framing) -> None:
    payload = {
        "result": plain('{"a":1}'),
        "list": [plain("[2]"), "AAAA"],
        "deep": {"deeper": {"arguments": plain("null")}},
        "kept": {PLAIN_KEY: 7, "beside": 1},
    }
    found = orjson.loads(with_blobs(orjson.dumps(payload), framing))
    assert found["kept"] == payload["kept"]
    assert found["list"][1] == "AAAA"
    blobs = [found["result"], found["list"][0], found["deep"]["deeper"]["arguments"]]
    if framing is Framing.WRAPPER:
        assert [wrapper_value(blob) for blob in blobs] == [{"a": 1}, [2], None]
    else:
        assert all(base64.b64decode(blob)[:2] == b"\xc3\x01" for blob in blobs)


def test_the_payload_of_a_reader_takes_the_place_of_the_stored_one() -> None:
    event = an_event(3, payload=b'{"stored":1}')
    assert shown(worker_event(event, payload=b'{"framed":1}'))["payload"] == {
        "framed": 1
    }

"""Payloads that lie in external storage, as they are kept and as readers get them."""

from __future__ import annotations

from typing import Any

import orjson
import pytest

from dwserver.engine.model import Payload
from dwserver.engine.payloads import PLAIN_CODEC, embed
from dwserver.protocol.history_events import with_blobs
from dwserver.protocol.payloads import (
    ExternalReference,
    Framing,
    display,
    encode_for,
    external_envelope,
    parse_input,
    parse_reference,
    parse_worker_payload,
    reference_payload,
    stored_reference,
)

REFERENCE = ExternalReference(
    codec="avro",
    uri="s3://payloads/orders/avro/ab/" + "ab" * 32,
    sha256="ab" * 32,
    size_bytes=70_000,
)
ENVELOPE = {
    "codec": "avro",
    "external_storage": {
        "schema": "durable-workflow.v2.external-payload-reference.v1",
        "uri": REFERENCE.uri,
        "sha256": REFERENCE.sha256,
        "size_bytes": 70_000,
        "codec": "avro",
    },
}


def test_the_envelope_is_the_one_of_the_contract() -> None:
    assert external_envelope(REFERENCE) == ENVELOPE
    assert parse_reference(ENVELOPE, "input") == REFERENCE


@pytest.mark.parametrize("framing", Framing)
def test_every_reader_gets_the_envelope_unframed(framing: Framing) -> None:
    payload = reference_payload(REFERENCE)
    assert encode_for(payload, framing) == ENVELOPE
    event = orjson.dumps({"result": embed(payload), "n": [embed(payload)]})
    shown = orjson.loads(with_blobs(event, framing))
    assert shown == {"result": ENVELOPE, "n": [ENVELOPE]}


def test_a_reference_comes_back_from_what_is_stored() -> None:
    assert stored_reference(reference_payload(REFERENCE)) == REFERENCE
    assert display(reference_payload(REFERENCE)) == (False, None)


@pytest.mark.parametrize(
    "value",
    [
        ["a"],
        [ENVELOPE],
        {**ENVELOPE, "more": 1},
        {"codec": "avro", "more": {"external_storage": {"uri": "x"}}},
        {"codec": "avro"},
    ],
)
def test_plain_values_of_callers_are_never_taken_for_references(value: Any) -> None:
    for parsed in (
        parse_input(value, keep_names=True),
        parse_worker_payload(value, "avro"),
    ):
        assert isinstance(parsed, Payload)
        assert parsed.codec == PLAIN_CODEC
        assert stored_reference(parsed) is None
        assert display(parsed) == (True, value)
        assert encode_for(parsed, Framing.WRAPPER).keys() == {"codec", "blob"}


def test_a_blob_is_no_reference() -> None:
    assert stored_reference(Payload("avro", "AARbXQI=")) is None

"""Both Avro framings: vectors of the contract, and fastavro as a second opinion."""

from __future__ import annotations

import io
from base64 import b64decode, b64encode
from typing import Any

import fastavro
import orjson
import pytest
from fastavro.schema import fingerprint, to_parsing_canonical_form
from hypothesis import given
from hypothesis import strategies as st

from dwserver.engine.model import Payload
from dwserver.engine.payloads import PLAIN_CODEC
from dwserver.protocol.payloads.avro_binary import MAX_LONG, MIN_LONG
from dwserver.protocol.payloads.framing import (
    WRAPPER_SCHEMA,
    Framing,
    decode_avro,
    decode_for_display,
    detect_framing,
    display,
    encode_for,
    encode_json,
    framed,
    framing_for,
)
from dwserver.protocol.payloads.json_bounds import MAX_DEPTH
from dwserver.protocol.payloads.records import (
    PayloadDecodeError,
    PayloadEncodeError,
)
from dwserver.protocol.payloads.value_datum import VALUE_FINGERPRINT
from dwserver.protocol.versions import WorkerVersion

WRAPPER_VECTORS = {
    "[]": "AARbXQI=",
    '["Ada"]': "AA5bIkFkYSJdAg==",
    '{"greeting":"Hello Ada"}': "ADB7ImdyZWV0aW5nIjoiSGVsbG8gQWRhIn0C",
    "null": "AAhudWxsAg==",
}
VALUE_VECTORS = {
    "null": "wwHioz3/VYAiNwA=",
    "true": "wwHioz3/VYAiNwIB",
    "7": "wwHioz3/VYAiNwQO",
    "7.0": "wwHioz3/VYAiNwYAAAAAAAAcQA==",
    '"héllo"': "wwHioz3/VYAiNwoMaMOpbGxv",
    "{}": "wwHioz3/VYAiNw4A",
}
VECTORS = [
    *((Framing.WRAPPER, json, blob) for json, blob in WRAPPER_VECTORS.items()),
    *((Framing.VALUE, json, blob) for json, blob in VALUE_VECTORS.items()),
]


def scalar(name: str, kind: str) -> dict[str, Any]:
    return {"type": "record", "name": name, "fields": [{"name": kind, "type": kind}]}


def holder(name: str, field: str, kind: dict[str, Any]) -> dict[str, Any]:
    return {"type": "record", "name": name, "fields": [{"name": field, "type": kind}]}


NAMESPACE = "durable_workflow.protocol"
VALUE_SCHEMA: Any = fastavro.parse_schema(
    {
        "type": "record",
        "name": "Value",
        "namespace": NAMESPACE,
        "fields": [
            {
                "name": "value",
                "type": [
                    "null",
                    scalar("BooleanValue", "boolean"),
                    scalar("LongValue", "long"),
                    scalar("DoubleValue", "double"),
                    scalar("BytesValue", "bytes"),
                    scalar("StringValue", "string"),
                    holder("ArrayValue", "items", {"type": "array", "items": "Value"}),
                    holder("MapValue", "entries", {"type": "map", "values": "Value"}),
                ],
            }
        ],
    }
)
BRANCHES = {
    bool: ("BooleanValue", "boolean"),
    int: ("LongValue", "long"),
    float: ("DoubleValue", "double"),
    bytes: ("BytesValue", "bytes"),
    str: ("StringValue", "string"),
}


def as_record(value: Any) -> dict[str, Any]:
    """A value as fastavro wants it for the Value schema."""
    if value is None:
        return {"value": None}
    if isinstance(value, list):
        name, field, content = "ArrayValue", "items", [as_record(v) for v in value]
        return {"value": (f"{NAMESPACE}.{name}", {field: content})}
    if isinstance(value, dict):
        entries = {key: as_record(item) for key, item in value.items()}
        return {"value": (f"{NAMESPACE}.MapValue", {"entries": entries})}
    name, field = BRANCHES[type(value)]
    return {"value": (f"{NAMESPACE}.{name}", {field: value})}


def reference_value_blob(value: Any) -> str:
    out = io.BytesIO()
    fastavro.schemaless_writer(out, VALUE_SCHEMA, as_record(value))
    return b64encode(b"\xc3\x01" + VALUE_FINGERPRINT + out.getvalue()).decode()


json_values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(MIN_LONG, MAX_LONG)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=25,
)


@pytest.mark.parametrize(("framing", "json", "blob"), VECTORS)
def test_vectors(framing: Framing, json: str, blob: str) -> None:
    assert encode_json(json.encode(), framing) == blob
    assert orjson.dumps(decode_avro(blob)).decode() == json
    assert detect_framing(blob) is framing


def test_fingerprint_is_that_of_the_schema() -> None:
    canonical = to_parsing_canonical_form(VALUE_SCHEMA)
    assert fingerprint(canonical, "CRC-64-AVRO") == VALUE_FINGERPRINT.hex()


@given(json_values)
def test_value_framing_equals_fastavro(value: Any) -> None:
    assert encode_json(orjson.dumps(value), Framing.VALUE) == reference_value_blob(
        value
    )


@given(json_values)
def test_wrapper_framing_equals_fastavro(value: Any) -> None:
    json = orjson.dumps(value)
    out = io.BytesIO()
    schema = fastavro.parse_schema(orjson.loads(WRAPPER_SCHEMA))
    fastavro.schemaless_writer(out, schema, {"json": json.decode(), "version": 1})
    expected = b64encode(b"\x00" + out.getvalue()).decode()
    assert encode_json(json, Framing.WRAPPER) == expected


@given(json_values, st.sampled_from(Framing))
def test_values_survive_both_framings(value: Any, framing: Framing) -> None:
    json = orjson.dumps(value)
    decoded = decode_avro(encode_json(json, framing))
    assert orjson.dumps(decoded) == json


@given(st.binary(max_size=60))
def test_no_input_breaks_the_decoder(data: bytes) -> None:
    for head in (b"", b"\x00", b"\xc3\x01" + VALUE_FINGERPRINT):
        ok, value = decode_for_display("avro", b64encode(head + data).decode())
        assert ok or value is None


def test_blocks_may_be_split_and_carry_sizes() -> None:
    prefix = b"\xc3\x01" + VALUE_FINGERPRINT
    one, two = b"\x04\x02", b"\x04\x04"
    # One block of one item with its size in bytes, then a plain block, then the end.
    array = b"\x0c" + b"\x01\x04" + one + b"\x02" + two + b"\x00"
    assert decode_avro(b64encode(prefix + array).decode()) == [1, 2]


def test_bytes_are_shown_as_base64() -> None:
    assert decode_avro(reference_value_blob({"raw": b"\x00\xff"})) == {"raw": "AP8="}


def test_an_empty_blob_is_null() -> None:
    assert decode_for_display("avro", "") == (True, None)


VALUE_HEAD = b"\xc3\x01" + VALUE_FINGERPRINT


@pytest.mark.parametrize(
    ("data", "why"),
    [
        (b"\xc3\x01\xe2\xa3", "fingerprint"),
        (b"\xc3\x01" + bytes(8) + b"\x00", "fingerprint"),
        (VALUE_HEAD, "data ends"),
        (VALUE_HEAD + b"\x00\x00", "follows the end"),
        (VALUE_HEAD + b"\x10", "unknown kind"),
        (VALUE_HEAD + b"\x01", "unknown kind"),
        (VALUE_HEAD + b"\x02\x02", "boolean"),
        (VALUE_HEAD + b"\x02", "boolean"),
        (VALUE_HEAD + b"\x06\x00\x00", "data ends"),
        (VALUE_HEAD + b"\x06" + b"\x00" * 6 + b"\xf0\x7f", "not finite"),
        (VALUE_HEAD + b"\x0a\x08ab", "data ends"),
        (VALUE_HEAD + b"\x0a\x01", "data ends"),
        (VALUE_HEAD + b"\x0a\x02\xff", "UTF-8"),
        (VALUE_HEAD + b"\x0c\x04\x00", "data ends"),
        (VALUE_HEAD + b"\x04" + b"\xff" * 11, "too long"),
        (VALUE_HEAD + b"\x04" + b"\xff" * 9 + b"\x02", "64-bit"),
        (b"\x00", "data ends"),
        (b"\x00\x04[]", "data ends"),
        (b"\x00\x04[]\x02\x02", "follows the end"),
        (b"\x00\x04[,\x02", "not JSON"),
        (b"\x01\x00\x00\x00\x02{}", "own Avro schema"),
        (b"\x02\x00", "no known Avro framing"),
        (b"[]", "no known Avro framing"),
    ],
)
def test_malformed_frames(data: bytes, why: str) -> None:
    blob = b64encode(data).decode()
    with pytest.raises(PayloadDecodeError, match=why):
        decode_avro(blob)
    assert decode_for_display("avro", blob) == (False, None)


@pytest.mark.parametrize(
    "blob",
    ["AARbXQI", "AARb XQI=", "AARbXQI=\n", "AARbXQI==", "AA-_XQI=", "ä", "===="],
)
def test_base64_is_strict(blob: str) -> None:
    with pytest.raises(PayloadDecodeError, match="not valid base64"):
        decode_avro(blob)


@pytest.mark.parametrize("blob", ['{"a":1}', "[1]", '"x"', "-1", "12345", "{broken"])
def test_json_in_place_of_a_blob_is_named(blob: str) -> None:
    with pytest.raises(PayloadDecodeError, match="looks like JSON"):
        decode_avro(blob)


def test_other_codecs_are_not_shown() -> None:
    assert decode_for_display("json", "[]") == (False, None)


def nested(depth: int) -> bytes:
    return b"[" * depth + b"]" * depth


def test_depth_is_bounded_on_both_sides() -> None:
    allowed = nested(MAX_DEPTH)
    assert decode_avro(encode_json(allowed, Framing.VALUE)) == orjson.loads(allowed)
    too_deep = nested(MAX_DEPTH + 1)
    with pytest.raises(PayloadEncodeError, match="too deeply"):
        encode_json(too_deep, Framing.VALUE)
    with pytest.raises(PayloadDecodeError, match="too deeply"):
        decode_avro(encode_json(too_deep, Framing.WRAPPER))
    blob = b64encode(VALUE_HEAD + b"\x0c\x02" * 5_000).decode()
    with pytest.raises(PayloadDecodeError, match="too deeply"):
        decode_avro(blob)


@pytest.mark.parametrize("number", [MAX_LONG + 1, (1 << 64) - 1])
def test_integers_beyond_64_bits_have_no_value_framing(number: int) -> None:
    with pytest.raises(PayloadEncodeError, match="64-bit"):
        encode_json(str(number).encode(), Framing.VALUE)


@pytest.mark.parametrize(
    ("version", "framing"),
    [
        ("1.0", Framing.WRAPPER),
        ("1.1", Framing.WRAPPER),
        ("1.2", Framing.VALUE),
        ("1.13", Framing.VALUE),
        ("1.20", Framing.VALUE),
    ],
)
def test_framing_follows_the_worker_version(version: str, framing: Framing) -> None:
    parsed = WorkerVersion.parse(version)
    assert parsed is not None
    assert framing_for(parsed) is framing


@pytest.mark.parametrize("framing", Framing)
def test_client_blobs_are_delivered_unchanged(framing: Framing) -> None:
    payload = Payload("avro", "not even base64")
    assert encode_for(payload, framing) == {"codec": "avro", "blob": "not even base64"}
    assert display(payload) == (False, None)


def test_plain_json_is_framed_for_its_reader() -> None:
    payload = Payload(PLAIN_CODEC, '["Ada"]')
    old = encode_for(payload, Framing.WRAPPER)
    new = encode_for(payload, Framing.VALUE)
    assert old == {"codec": "avro", "blob": WRAPPER_VECTORS['["Ada"]']}
    assert b64decode(new["blob"]).startswith(VALUE_HEAD)
    assert decode_avro(new["blob"]) == ["Ada"]
    assert framed(payload.data, Framing.VALUE) == new["blob"]
    assert display(payload) == (True, ["Ada"])


@pytest.mark.parametrize("blob", ["", "A", "wwE", "AQID", "ä"])
def test_blobs_without_a_known_frame_have_no_framing(blob: str) -> None:
    assert detect_framing(blob) is None

"""Canonical text, integrity and payloads of exported histories, against a bundle that
the reference server signed with its checksum."""

from __future__ import annotations

import hashlib
import hmac
import json
from pathlib import Path
from typing import Any

import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dwserver.protocol.history_bundles.canonical import canonical_text
from dwserver.protocol.history_bundles.integrity import SigningKey, integrity_of
from dwserver.protocol.history_bundles.payloads import (
    codec_schemas,
    payload_manifest,
)

JSON_VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.text()
    | st.floats(allow_nan=False, allow_infinity=False),
    lambda inner: (
        st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4)
    ),
)

FIXTURE = Path(__file__).parent / "fixtures" / "history_bundle.json"


def recorded() -> dict[str, Any]:
    bundle: dict[str, Any] = orjson.loads(FIXTURE.read_bytes())
    return bundle


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ({"b": 1, "a": [True, None]}, b'{"a":[true,null],"b":1}'),
        ("é/€😀", rb'"\u00e9/\u20ac\ud83d\ude00"'),
        ('"\\\b\f\n\r\t\x01', rb'"\"\\\b\f\n\r\t\u0001"'),
        ("\x7f", b'"\x7f"'),
        ("\\u007f", rb'"\\u007f"'),
        ("\\u007f\x7f", b'"\\\\u007f\x7f"'),
        ("1e+20,", b'"1e+20,"'),
        ({"a": [1e20]}, b'{"a":[1.0e+20]}'),
        ({"\x7f": 1}, b'{"\x7f":1}'),
        (1.0, b"1.0"),
        (0.1, b"0.1"),
        (-2.5, b"-2.5"),
        (-0.0, b"-0.0"),
        (0.0001, b"0.0001"),
        (0.00001, b"1.0e-5"),
        (1.25e-7, b"1.25e-7"),
        (1e16, b"10000000000000000.0"),
        (1e17, b"1.0e+17"),
        (1.5e300, b"1.5e+300"),
        (10**20, b"100000000000000000000"),
        ([{}, []], b"[{},[]]"),
    ],
)
def test_canonical_text(value: Any, text: bytes) -> None:
    assert canonical_text(value) == text


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_what_is_no_number_has_no_text(value: float) -> None:
    with pytest.raises(ValueError, match="JSON"):
        canonical_text([value])
    with pytest.raises(ValueError, match="JSON"):
        canonical_text([1e300, value])


@settings(max_examples=300, deadline=None)
@given(JSON_VALUES)
def test_the_text_of_any_document_reads_back_as_it(value: Any) -> None:
    text = canonical_text(value)
    assert json.loads(text) == value
    # The long way, which numbers with an exponent take, writes the same.
    longer = canonical_text([1e300, value])
    assert longer == b"[1.0e+300," + text + b"]"


def test_a_deep_document_has_a_text() -> None:
    deep: list[Any] = []
    for _ in range(100_000):
        deep = [deep]
    assert canonical_text(deep) == b"[" * 100_001 + b"]" * 100_001


def test_a_recorded_bundle_has_our_checksum() -> None:
    bundle = recorded()
    integrity = bundle.pop("integrity")
    assert integrity_of(bundle, None) == integrity


def test_a_key_signs_the_text() -> None:
    bundle = recorded()
    del bundle["integrity"]
    key = SigningKey.of(" secret\n", " k-1 ")
    assert key == SigningKey("secret", "k-1")
    assert "secret" not in repr(key)
    signed = integrity_of(bundle, key)
    text = canonical_text(bundle)
    expected = hmac.new(b"secret", text, hashlib.sha256).hexdigest()
    assert signed["signature"] == expected
    assert (signed["signature_algorithm"], signed["key_id"]) == ("hmac-sha256", "k-1")
    assert SigningKey.of("  ", "k-1") is SigningKey.of(None, None) is None


def test_recorded_payloads_are_told_the_same() -> None:
    bundle = recorded()
    ours, theirs = payload_manifest(bundle), bundle["payload_manifest"]
    # Without a fingerprint, about which verifiers disagree.
    for entry in theirs["entries"]:
        entry["writer_schema_fingerprint"] = None
    assert ours == theirs
    schemas = codec_schemas()
    del schemas["avro"]["single_object"]
    assert schemas == bundle["codec_schemas"]


@pytest.mark.parametrize(
    ("data", "framing", "prefix", "diagnostic"),
    [
        ("AARbXQI=", "generic_wrapper", "00", None),
        ("wwHioz3/VYAiNwA=", "single_object", "c301", None),
        ("AQAA", "typed_schema", "01", None),
        ("/wAA", None, "ff", "unknown_prefix"),
        ("[1]", None, None, "invalid_base64"),
        ("", None, None, "payload_unavailable"),
        (None, None, None, "payload_unavailable"),
        ({"codec": "avro"}, None, None, "external_storage_reference"),
    ],
)
def test_how_a_payload_is_encoded(
    data: Any, framing: str | None, prefix: str | None, diagnostic: str | None
) -> None:
    bundle = recorded()
    bundle["payloads"]["output"]["data"] = data
    entry = payload_manifest(bundle)["entries"][1]
    assert entry["path"] == "payloads.output.data"
    assert entry["available"] is (isinstance(data, str) and data != "")
    told = (entry["avro_framing"], entry["avro_prefix_hex"], entry["diagnostic"])
    assert told == (framing, prefix, diagnostic)

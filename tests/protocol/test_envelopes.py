"""Payloads as requests carry them."""

from __future__ import annotations

from typing import Any

import orjson
import pytest

from dwserver.engine.model import Payload
from dwserver.engine.payloads import PLAIN_CODEC
from dwserver.protocol.payloads import (
    EMPTY_ARGUMENTS,
    BlobCheck,
    ExternalReference,
    Framing,
    encode_for,
    parse_input,
    parse_reference,
    parse_worker_payload,
)
from dwserver.protocol.payloads.json_bounds import MAX_DEPTH
from dwserver.protocol.validation import FieldError

LIST_BLOB = "AA5bIkFkYSJdAg=="
NULL_BLOB = "AAhudWxsAg=="
OBJECT_BLOB = "ADB7ImdyZWV0aW5nIjoiSGVsbG8gQWRhIn0C"
REFERENCE = {
    "schema": "durable-workflow.v2.external-payload-reference.v1",
    "uri": "file:///payloads/one",
    "sha256": "AB" * 32,
    "size_bytes": 16,
    "codec": "avro",
}
NO_DRIVER = "External payload references require an external storage driver."
UNKNOWN_CODEC = 'Unknown payload codec "json". Known codecs: avro.'
NO_CODEC = "The payload envelope codec must be a non-empty string."


def plain(value: Any) -> Payload:
    return Payload(PLAIN_CODEC, orjson.dumps(value).decode())


def envelope(codec: Any, blob: Any) -> dict[str, Any]:
    return {"codec": codec, "blob": blob}


def referring(**changes: Any) -> dict[str, Any]:
    return {"codec": "avro", "external_storage": {**REFERENCE, **changes}}


@pytest.mark.parametrize("value", [None, [], {}])
def test_no_arguments(value: Any) -> None:
    assert parse_input(value) is None


def test_a_start_without_input_runs_with_an_empty_list() -> None:
    wrapper = encode_for(EMPTY_ARGUMENTS, Framing.WRAPPER)
    assert wrapper == {"codec": "avro", "blob": "AARbXQI="}


def test_a_list_stays_json_as_it_was_sent() -> None:
    value = ["  a ", "", 1.0, {"k": None}, "é/ü"]
    assert parse_input(value) == plain(value)


def test_an_object_loses_its_keys_unless_names_matter() -> None:
    named = {"b": 2, "a": [1]}
    assert parse_input(named) == plain([2, [1]])
    assert parse_input(named, keep_names=True) == plain(named)


@pytest.mark.parametrize("value", ["text", 3, 1.5, True, False, 0, ""])
def test_scalars_are_refused(value: Any) -> None:
    assert parse_input(value) == [
        FieldError("input", "The input field must be an array.")
    ]


def test_an_envelope_is_kept_byte_for_byte() -> None:
    assert parse_input(envelope("avro", LIST_BLOB)) == Payload("avro", LIST_BLOB)


@pytest.mark.parametrize(
    "value",
    [
        {"codec": "avro", "blob": LIST_BLOB, "more": 1},
        {"codec": "avro"},
        {"blob": LIST_BLOB},
    ],
)
def test_only_exactly_two_keys_make_an_envelope(value: dict[str, Any]) -> None:
    assert parse_input(value) == plain(list(value.values()))
    assert parse_worker_payload(value, "avro") == plain(value)


@pytest.mark.parametrize(
    ("value", "path", "message"),
    [
        (envelope("", LIST_BLOB), "input.codec", NO_CODEC),
        (envelope("  ", LIST_BLOB), "input.codec", NO_CODEC),
        (envelope(None, LIST_BLOB), "input.codec", NO_CODEC),
        (envelope(["avro"], LIST_BLOB), "input.codec", NO_CODEC),
        (envelope("json", "[]"), "input.codec", UNKNOWN_CODEC),
        (
            envelope("avro", None),
            "input.blob",
            "The payload envelope blob must be a string.",
        ),
        (
            envelope("avro", "AAA*"),
            "input.blob",
            'The input envelope blob could not be decoded with codec "avro": '
            "the blob is not valid base64",
        ),
        (referring(), "input.external_storage", NO_DRIVER),
        ({"codec": "x", "external_storage": {}}, "input.codec", None),
    ],
)
def test_broken_envelopes(value: Any, path: str, message: str | None) -> None:
    errors = parse_input(value)
    assert isinstance(errors, list)
    assert [error.path for error in errors] == [path]
    assert message in (None, errors[0].message)


def test_the_field_name_leads_the_path() -> None:
    errors = parse_input(envelope("json", "[]"), "action.input")
    assert errors == [FieldError("action.input.codec", UNKNOWN_CODEC)]


@pytest.mark.parametrize(
    ("check", "accepted"),
    [
        (BlobCheck.OPAQUE, {LIST_BLOB, OBJECT_BLOB, NULL_BLOB, "", "no blob"}),
        (BlobCheck.DECODABLE, {LIST_BLOB, OBJECT_BLOB, NULL_BLOB, ""}),
        (BlobCheck.ARRAY, {LIST_BLOB, OBJECT_BLOB}),
    ],
)
def test_how_closely_blobs_are_examined(check: BlobCheck, accepted: set[str]) -> None:
    blobs = {LIST_BLOB, OBJECT_BLOB, NULL_BLOB, "", "no blob"}
    passed = {
        blob
        for blob in blobs
        if isinstance(parse_input(envelope("avro", blob), blob_check=check), Payload)
    }
    assert passed == accepted


def test_signals_and_updates_need_an_array() -> None:
    errors = parse_input(envelope("avro", NULL_BLOB), blob_check=BlobCheck.ARRAY)
    text = "The input envelope blob must decode to an array."
    assert errors == [FieldError("input.blob", text)]


def test_both_framings_pass_the_check() -> None:
    value_framed = encode_for(plain(["Ada"]), Framing.VALUE)
    assert parse_input(value_framed, blob_check=BlobCheck.ARRAY) == Payload(
        "avro", value_framed["blob"]
    )


@pytest.mark.parametrize("number", [1 << 63, (1 << 64) - 1])
def test_integers_that_no_framing_holds_are_refused(number: int) -> None:
    errors = parse_input([{"deep": [number]}])
    assert isinstance(errors, list)
    assert errors[0].path == "input"
    assert "64-bit" in errors[0].message


@pytest.mark.parametrize(
    "value",
    [(1 << 63) - 1, -(1 << 63), "12345678901234567890123", 0.1234567890123456789],
)
def test_long_digit_runs_are_fine_where_they_fit(value: Any) -> None:
    assert parse_input([value]) == plain([value])


@pytest.mark.parametrize("depth", [MAX_DEPTH + 1, 250, 300, 1000])
def test_too_deep_values_are_refused(depth: int) -> None:
    value = orjson.loads(b"[" * depth + b"1" + b"]" * depth)
    for result in (parse_input(value), parse_worker_payload(value, "avro")):
        assert isinstance(result, list)
        assert str(MAX_DEPTH) in result[0].message


def test_many_shallow_containers_are_fine() -> None:
    value = [{"n": [n]} for n in range(MAX_DEPTH * 2)]
    assert parse_input(value) == plain(value)
    deepest = orjson.loads(b"[" * MAX_DEPTH + b"1" + b"]" * MAX_DEPTH)
    assert parse_input(deepest) == plain(deepest)


@pytest.mark.parametrize("value", [None, ""])
def test_worker_sends_nothing(value: Any) -> None:
    assert parse_worker_payload(value, "avro") is None


def test_worker_sends_a_bare_blob_in_the_codec_of_the_run() -> None:
    assert parse_worker_payload("opaque", "avro") == Payload("avro", "opaque")


def test_worker_sends_an_envelope_that_is_not_examined() -> None:
    sent = envelope("avro", "opaque")
    assert parse_worker_payload(sent, "avro") == Payload("avro", "opaque")


@pytest.mark.parametrize(
    "value", [{"status": "shipped"}, ["order-42"], 7, 1.5, True, False, [], {}]
)
def test_worker_sends_plain_json(value: Any) -> None:
    assert parse_worker_payload(value, "avro") == plain(value)


def test_worker_errors_name_the_field() -> None:
    field = "commands.0.arguments"
    assert parse_worker_payload(envelope("json", "[]"), "avro", field) == [
        FieldError(f"{field}.codec", UNKNOWN_CODEC)
    ]
    assert parse_worker_payload(envelope("avro", 1), "avro", field) == [
        FieldError(f"{field}.blob", "The payload envelope blob must be a string.")
    ]
    assert parse_worker_payload(referring(), "avro", field) == [
        FieldError(f"{field}.external_storage", NO_DRIVER)
    ]


def test_a_reference_is_read() -> None:
    value = referring(expires_at="2026-01-01T00:00:00Z")
    assert parse_reference(value, "input") == ExternalReference(
        codec="avro",
        uri="file:///payloads/one",
        sha256="ab" * 32,
        size_bytes=16,
        expires_at="2026-01-01T00:00:00Z",
    )


@pytest.mark.parametrize(
    ("changes", "path", "word"),
    [
        ({"schema": "other"}, "input.external_storage", "schema"),
        ({"uri": " "}, "input.external_storage", "uri"),
        ({"sha256": "abc"}, "input.external_storage", "sha256"),
        ({"sha256": "g" * 64}, "input.external_storage", "sha256"),
        ({"size_bytes": -1}, "input.external_storage", "size_bytes"),
        ({"size_bytes": True}, "input.external_storage", "size_bytes"),
        ({"size_bytes": "16"}, "input.external_storage", "size_bytes"),
        ({"expires_at": 5}, "input.external_storage", "expires_at"),
        ({"codec": "json"}, "input.external_storage.codec", "codec"),
        ({"uri": None}, "input.external_storage", "uri"),
        ({"sha256": None}, "input.external_storage", "sha256"),
        ({"size_bytes": 1.5}, "input.external_storage", "size_bytes"),
        ({"codec": None}, "input.external_storage.codec", "codec"),
    ],
)
def test_broken_references(changes: dict[str, Any], path: str, word: str) -> None:
    errors = parse_reference(referring(**changes), "input")
    assert isinstance(errors, list)
    assert errors[0].path == path
    assert word in errors[0].message


def test_a_reference_that_is_no_object() -> None:
    value = {"codec": "avro", "external_storage": "file:///x"}
    errors = parse_reference(value, "input")
    assert isinstance(errors, list)
    assert errors[0].path == "input.external_storage"


@pytest.mark.parametrize("codec", ["", None, "json"])
def test_a_reference_in_an_envelope_of_another_codec(codec: Any) -> None:
    errors = parse_reference({**referring(), "codec": codec}, "input")
    assert isinstance(errors, list)
    assert [error.path for error in errors] == ["input.codec"]

"""What an exported history tells of its payloads (``spec/history-bundles.md`` §2.13,
§2.14). Nobody has to decode them to know how they are encoded."""

from __future__ import annotations

import binascii
import hashlib
from base64 import b64decode
from collections.abc import Iterator
from typing import Final

from dwserver.protocol.json_types import JsonObject, JsonValue
from dwserver.protocol.payloads.framing import (
    TYPED_SCHEMA_PREFIX,
    VALUE_MAGIC,
    WRAPPER_PREFIX,
    WRAPPER_SCHEMA,
)
from dwserver.protocol.payloads.records import AVRO_CODEC
from dwserver.protocol.payloads.value_datum import VALUE_FINGERPRINT

_BINARY: Final = "base64-avro-binary"
_SINGLE_OBJECT: Final = "base64-avro-single-object"


def codec_schemas() -> JsonObject:
    """Of the one codec there is, in both of its framings."""
    fingerprint = hashlib.sha256(WRAPPER_SCHEMA.encode()).hexdigest()
    return {
        AVRO_CODEC: {
            "encoding": _BINARY,
            "wrapper_schema": WRAPPER_SCHEMA,
            "wrapper_prefix_hex": WRAPPER_PREFIX.hex(),
            "typed_prefix_hex": TYPED_SCHEMA_PREFIX.hex(),
            "generic_wrapper": {
                "prefix_hex": WRAPPER_PREFIX.hex(),
                "writer_schema": WRAPPER_SCHEMA,
                "writer_schema_fingerprint": f"sha256:{fingerprint}",
            },
            "typed_schema": {
                "prefix_hex": TYPED_SCHEMA_PREFIX.hex(),
                "schema_header": "uint32_be_length_prefixed_utf8_json",
                "writer_schema_location": "payload_manifest.entries[*].writer_schema",
            },
            "single_object": {
                "magic_hex": VALUE_MAGIC.hex(),
                "current_fingerprint": VALUE_FINGERPRINT.hex(),
            },
        }
    }


def payload_manifest(bundle: JsonObject) -> JsonObject:
    """One entry for each place of ``bundle`` that holds a payload."""
    return {"version": 1, "entries": list(_entries(bundle))}


def _entries(bundle: JsonObject) -> Iterator[JsonObject]:
    codec = bundle["payloads"]["codec"]
    for name in ("arguments", "output"):
        slot = bundle["payloads"][name]
        yield _entry(f"payloads.{name}.data", codec, slot["data"])
    for section, name, codec_key in (
        ("commands", "payload", "payload_codec"),
        ("signals", "arguments", "payload_codec"),
        ("updates", "arguments", "payload_codec"),
        ("updates", "result", "payload_codec"),
        ("activities", "arguments", "payload_codec"),
        ("activities", "result", "payload_codec"),
    ):
        for index, row in enumerate(bundle[section]):
            path = f"{section}.{index}.{name}"
            yield _entry(path, row.get(codec_key) or codec, row[name])


def _entry(path: str, codec: str, data: JsonValue) -> JsonObject:
    # What lies in external storage is not in the bundle.
    is_available = isinstance(data, str) and data != ""
    return {
        "path": path,
        "codec": codec,
        "available": is_available,
        "redacted": False,
        **_inspected(data),
    }


def _inspected(data: JsonValue) -> JsonObject:
    if data is None or data == "":
        return _told(_BINARY, diagnostic="payload_unavailable")
    if not isinstance(data, str):
        reference = "external_storage_reference"
        return _told("external-storage-reference", diagnostic=reference)
    try:
        first = b64decode(data[:4], validate=True)
    except (binascii.Error, ValueError):
        return _told(_BINARY, diagnostic="invalid_base64")
    if first.startswith(WRAPPER_PREFIX):
        # Its fingerprint is left out: releases of the verifiers disagree about it.
        return _told(
            _BINARY,
            framing="generic_wrapper",
            prefix=first[:1],
            schema=WRAPPER_SCHEMA,
        )
    if first.startswith(VALUE_MAGIC):
        return _told(
            _SINGLE_OBJECT,
            framing="single_object",
            prefix=first[:2],
            fingerprint=f"crc64-avro:{VALUE_FINGERPRINT.hex()}",
        )
    if first.startswith(TYPED_SCHEMA_PREFIX):
        return _told(_BINARY, framing="typed_schema", prefix=first[:1])
    return _told(_BINARY, prefix=first[:1], diagnostic="unknown_prefix")


def _told(
    encoding: str,
    *,
    framing: str | None = None,
    prefix: bytes = b"",
    schema: str | None = None,
    fingerprint: str | None = None,
    diagnostic: str | None = None,
) -> JsonObject:
    return {
        "encoding": encoding,
        "avro_framing": framing,
        "avro_prefix_hex": prefix.hex() or None,
        "writer_schema": schema,
        "writer_schema_fingerprint": fingerprint,
        "diagnostic": diagnostic,
    }

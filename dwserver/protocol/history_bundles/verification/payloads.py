"""What a bundle tells about its payloads, and what it says that was left out."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from typing import Final

from dwserver.protocol.history_bundles.verification.findings import (
    Finding,
    found,
    shown,
    text_or_none,
)
from dwserver.protocol.history_bundles.verification.rules import Rule
from dwserver.protocol.json_types import JsonObject, JsonValue
from dwserver.protocol.payloads.framing import WRAPPER_SCHEMA
from dwserver.protocol.payloads.records import AVRO_CODEC
from dwserver.protocol.payloads.value_datum import VALUE_FINGERPRINT, VALUE_SCHEMA

_OF_VALUE_SCHEMA: Final = f"crc64-avro:{VALUE_FINGERPRINT.hex()}"


def check_payload_manifest(bundle: JsonObject) -> Iterator[Finding]:
    entries = _object(bundle.get("payload_manifest")).get("entries")
    for index, entry in enumerate(entries if isinstance(entries, list) else ()):
        if isinstance(entry, dict):
            place = text_or_none(shown(entry.get("path")))
            yield from _check_entry(entry, place or f"payload_manifest.entries.{index}")


def _check_entry(entry: JsonObject, path: str) -> Iterator[Finding]:
    is_available = entry.get("available") is True
    if text_or_none(entry.get("codec")) is None:
        yield found(
            Rule.CODEC_MISSING, "The manifest names no codec here.", path, path=path
        )
    if (
        is_available
        and entry.get("redacted") is not True
        and entry.get("diagnostic") == "payload_missing"
    ):
        yield found(
            Rule.PAYLOAD_MISSING,
            "A payload is declared as available, and it is not there.",
            path,
            path=path,
        )
    if not is_available or entry.get("codec") != AVRO_CODEC:
        return
    if text_or_none(entry.get("avro_framing")) is None:
        yield found(
            Rule.AVRO_FRAMING_MISSING,
            "The manifest does not tell how this Avro payload is framed.",
            path,
            path=path,
        )
    declared = text_or_none(entry.get("writer_schema_fingerprint"))
    schema = text_or_none(entry.get("writer_schema"))
    if declared and schema and not _is_fingerprint(declared, schema):
        yield found(
            Rule.WRITER_FINGERPRINT_MISMATCH,
            "The fingerprint is not that of the writer's schema beside it.",
            path,
            path=path,
            declared=declared,
            expected=_fingerprint(schema),
        )


def check_codec_schemas(bundle: JsonObject) -> Iterator[Finding]:
    """Of the wrapper, which exporters up to protocol 1.1 use."""
    avro = _object(_object(bundle.get("codec_schemas")).get(AVRO_CODEC))
    wrapper = _object(avro.get("generic_wrapper"))
    path = f"codec_schemas.{AVRO_CODEC}"
    schema = text_or_none(wrapper.get("writer_schema"))
    declared = text_or_none(wrapper.get("writer_schema_fingerprint"))
    if schema and declared and declared != _fingerprint(schema):
        yield found(
            Rule.WRAPPER_FINGERPRINT_MISMATCH,
            "The fingerprint is not that of the wrapper's schema beside it.",
            f"{path}.generic_wrapper.writer_schema_fingerprint",
            declared=declared,
            expected=_fingerprint(schema),
        )
    for place, text in (
        ("wrapper_schema", text_or_none(avro.get("wrapper_schema"))),
        ("generic_wrapper.writer_schema", schema),
    ):
        if text is not None and text != WRAPPER_SCHEMA:
            yield found(
                Rule.WRAPPER_SCHEMA_DRIFT,
                "The schema of the wrapper is another one than here.",
                f"{path}.{place}",
                observed=_fingerprint(text),
                expected=_fingerprint(WRAPPER_SCHEMA),
            )


def check_redaction(bundle: JsonObject) -> Iterator[Finding]:
    redaction = _object(bundle.get("redaction"))
    if redaction.get("applied") is True and not redaction.get("paths"):
        yield found(
            Rule.REDACTION_EMPTY_PATHS,
            "Something was redacted, and nothing tells what.",
            "redaction.paths",
        )


def _is_fingerprint(declared: str, schema: str) -> bool:
    """Exporters changed from hashes of the text to the fingerprints of Avro."""
    if declared == _OF_VALUE_SCHEMA:
        return schema == VALUE_SCHEMA
    return declared == _fingerprint(schema)


def _fingerprint(schema: str) -> str:
    text = schema.encode(errors="surrogatepass")
    return f"sha256:{hashlib.sha256(text).hexdigest()}"


def _object(value: JsonValue) -> JsonObject:
    return value if isinstance(value, dict) else {}

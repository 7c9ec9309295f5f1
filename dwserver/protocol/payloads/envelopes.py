"""Payloads as requests carry them: envelopes, bare blobs and plain JSON.

Source: ``spec/control-plane-api.md`` §13.1 and §13.4,
``spec/worker-protocol.md`` §2.2, ``decisions.md`` 9 and 10.
"""

from __future__ import annotations

import re
from enum import Enum
from typing import Final, TypeAlias

import orjson

from dwserver.engine.model import Payload
from dwserver.engine.payloads import PLAIN_CODEC
from dwserver.protocol.json_types import JsonObject, JsonValue
from dwserver.protocol.payloads.external import (
    EXTERNAL_KEYS,
    EXTERNAL_REFERENCE_SCHEMA,
)
from dwserver.protocol.payloads.framing import decode_avro
from dwserver.protocol.payloads.json_bounds import (
    MAX_DEPTH,
    exceeds_depth,
    exceeds_long,
)
from dwserver.protocol.payloads.records import (
    KNOWN_CODECS,
    ExternalReference,
    PayloadDecodeError,
)
from dwserver.protocol.validation import FieldError, attribute_name, must_be

Parsed: TypeAlias = Payload | list[FieldError] | None

_INLINE_KEYS: Final = frozenset({"codec", "blob"})
_SHA256: Final = re.compile(r"[0-9a-fA-F]{64}")


class BlobCheck(Enum):
    """How much of a client's blob is examined on arrival.

    ``OPAQUE``: nothing (queries that a worker answers). ``DECODABLE``: it must
    decode (start). ``ARRAY``: it must decode to a list (signal, update).
    """

    OPAQUE = 0
    DECODABLE = 1
    ARRAY = 2


def parse_input(
    value: JsonValue,
    field: str = "input",
    *,
    blob_check: BlobCheck = BlobCheck.DECODABLE,
    keep_names: bool = False,
) -> Parsed:
    """Read a control-plane ``input``.

    ``None`` means no arguments. A plain list becomes positional arguments; a
    plain object too, losing its keys, unless ``keep_names`` (signal and update,
    which have a contract to order them by) keeps it an object. A list of errors is
    returned for anything else, references to external storage among it: where there is
    a driver, they have been replaced by what they refer to.
    """
    if value is None or value == [] or value == {}:
        return None
    if not isinstance(value, list | dict):
        return [FieldError(field, must_be(field, "an array"))]
    if isinstance(value, dict):
        if value.keys() == _INLINE_KEYS:
            return _parse_inline(value, field, blob_check)
        if value.keys() == EXTERNAL_KEYS:
            return [_no_driver(value, field)]
        if not keep_names:
            value = list(value.values())
    return plain(value, field)


def parse_worker_payload(
    value: JsonValue, run_codec: str, field: str = "result"
) -> Parsed:
    """Read a result or the arguments that a worker sent.

    ``None`` for null and for an empty string; a bare string is a blob in the
    run's codec; an envelope keeps its own codec; other JSON stays plain. References to
    external storage as for ``parse_input``.
    """
    if value is None or value == "":
        return None
    if isinstance(value, str):
        return Payload(run_codec, value)
    if isinstance(value, dict):
        if value.keys() == _INLINE_KEYS:
            return _parse_inline(value, field, BlobCheck.OPAQUE)
        if value.keys() == EXTERNAL_KEYS:
            return [_no_driver(value, field)]
    return plain(value, field)


def plain(value: JsonValue, field: str) -> Payload | list[FieldError]:
    """Keep a JSON value as JSON, if every framing can hold it."""
    try:
        json = orjson.dumps(value)
    except orjson.JSONEncodeError:
        return [_too_deep(field)]
    if exceeds_depth(value, json):
        return [_too_deep(field)]
    if exceeds_long(value, json):
        return [
            FieldError(
                field,
                f"The {attribute_name(field)} field must not contain integers "
                "outside the signed 64-bit range.",
            )
        ]
    return Payload(PLAIN_CODEC, json.decode())


def _too_deep(field: str) -> FieldError:
    return FieldError(
        field,
        f"The {attribute_name(field)} field must not be nested more than "
        f"{MAX_DEPTH} levels deep.",
    )


def _parse_inline(
    envelope: JsonObject, field: str, blob_check: BlobCheck
) -> Payload | list[FieldError]:
    codec = envelope["codec"]
    problem = codec_error(codec, f"{field}.codec")
    if problem is not None:
        return [problem]
    blob = envelope["blob"]
    if not isinstance(blob, str):
        text = "The payload envelope blob must be a string."
        return [FieldError(f"{field}.blob", text)]
    if blob_check is not BlobCheck.OPAQUE:
        problem = _blob_error(codec, blob, field, blob_check)
        if problem is not None:
            return [problem]
    return Payload(codec, blob)


def codec_error(codec: JsonValue, path: str) -> FieldError | None:
    """What is wrong with the codec tag of an envelope, if anything."""
    if not isinstance(codec, str) or not codec.strip():
        text = "The payload envelope codec must be a non-empty string."
        return FieldError(path, text)
    if codec not in KNOWN_CODECS:
        known = ", ".join(KNOWN_CODECS)
        return FieldError(
            path, f'Unknown payload codec "{codec}". Known codecs: {known}.'
        )
    return None


def _blob_error(
    codec: str, blob: str, field: str, blob_check: BlobCheck
) -> FieldError | None:
    path = f"{field}.blob"
    try:
        value = decode_avro(blob)
    except PayloadDecodeError as error:
        return FieldError(
            path,
            f"The {field} envelope blob could not be decoded with codec "
            f'"{codec}": {error}',
        )
    if blob_check is BlobCheck.ARRAY and not isinstance(value, list | dict):
        text = f"The {field} envelope blob must decode to an array."
        return FieldError(path, text)
    return None


def _no_driver(envelope: JsonObject, field: str) -> FieldError:
    problem = codec_error(envelope["codec"], f"{field}.codec")
    return problem or FieldError(
        f"{field}.external_storage",
        "External payload references require an external storage driver.",
    )


def parse_reference(
    envelope: JsonObject, field: str
) -> ExternalReference | list[FieldError]:
    """Read an envelope whose keys are ``codec`` and ``external_storage``."""
    codec = envelope["codec"]
    problem = codec_error(codec, f"{field}.codec")
    if problem is not None:
        return [problem]
    path, value = f"{field}.external_storage", envelope["external_storage"]
    if not isinstance(value, dict):
        return [FieldError(path, must_be(path, "an object"))]
    text = _reference_error(value)
    if text is not None:
        return [FieldError(path, text)]
    if value.get("codec") != codec:
        problem = codec_error(value.get("codec"), f"{path}.codec")
        return [
            problem
            or FieldError(
                f"{path}.codec",
                "The external payload reference names another codec than its envelope.",
            )
        ]
    return ExternalReference(
        codec=codec,
        uri=value["uri"],
        sha256=value["sha256"].lower(),
        size_bytes=value["size_bytes"],
        expires_at=value.get("expires_at"),
    )


def _reference_error(value: JsonObject) -> str | None:
    if value.get("schema") != EXTERNAL_REFERENCE_SCHEMA:
        return "Unsupported external payload reference schema."
    uri = value.get("uri")
    if not isinstance(uri, str) or not uri.strip():
        return "External payload reference uri must be a non-empty string."
    sha256 = value.get("sha256")
    if not isinstance(sha256, str) or _SHA256.fullmatch(sha256) is None:
        return "External payload reference sha256 must be a hex digest."
    size = value.get("size_bytes")
    if isinstance(size, bool) or not isinstance(size, int) or size < 0:
        return "External payload reference size_bytes must be a non-negative integer."
    expires_at = value.get("expires_at")
    if expires_at is not None and not isinstance(expires_at, str):
        return "External payload reference expires_at must be a string."
    return None

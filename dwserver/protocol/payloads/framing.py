"""The two framings behind the codec tag ``avro``, told apart by first bytes.

Wrapper (workers up to 1.1): ``00`` and the record ``Payload{json, version}``.
Value (from 1.2 on): ``C3 01``, a schema fingerprint and the record ``Value``.
Source: ``spec/control-plane-api.md`` §13.2-13.3, ``decisions.md`` 9.
"""

from __future__ import annotations

import binascii
from base64 import b64encode
from enum import StrEnum
from typing import Final

import orjson

from dwserver.engine.model import Payload
from dwserver.engine.payloads import PLAIN_CODEC
from dwserver.protocol.json_types import JsonObject, JsonValue
from dwserver.protocol.payloads.avro_binary import read_bytes, read_long, write_long
from dwserver.protocol.payloads.external import stored_envelope
from dwserver.protocol.payloads.json_bounds import exceeds_depth
from dwserver.protocol.payloads.records import (
    AVRO_CODEC,
    PayloadDecodeError,
)
from dwserver.protocol.payloads.value_datum import (
    VALUE_FINGERPRINT,
    read_value,
    write_value,
)
from dwserver.protocol.versions import Feature, WorkerVersion


class Framing(StrEnum):
    """How the server writes a blob of its own."""

    WRAPPER = "wrapper"
    VALUE = "value"


WRAPPER_PREFIX: Final = b"\x00"
TYPED_SCHEMA_PREFIX: Final = b"\x01"
VALUE_MAGIC: Final = b"\xc3\x01"
_VALUE_PREFIX: Final = VALUE_MAGIC + VALUE_FINGERPRINT
_WRAPPER_VERSION: Final = b"\x02"

# The schema of the wrapper, published with history exports.
WRAPPER_SCHEMA: Final = (
    '{"type":"record","name":"Payload","namespace":"durable_workflow","fields":['
    '{"name":"json","type":"string"},{"name":"version","type":"int","default":1}]}'
)


def framing_for(version: WorkerVersion) -> Framing:
    """Framing that a worker of this protocol version reads."""
    if version.supports(Feature.VALUE_FRAMING):
        return Framing.VALUE
    return Framing.WRAPPER


def encode_json(json: bytes, framing: Framing) -> str:
    """Blob text for compact JSON.

    Raises ``PayloadEncodeError`` for values that the Value framing cannot hold;
    ``parse_input`` and ``parse_worker_payload`` never let such a value in.
    """
    if framing is Framing.WRAPPER:
        out = bytearray(WRAPPER_PREFIX)
        write_long(out, len(json))
        out += json
        out += _WRAPPER_VERSION
    else:
        out = bytearray(_VALUE_PREFIX)
        write_value(out, orjson.loads(json))
    return b64encode(out).decode()


def encode_for(payload: Payload, framing: Framing) -> JsonObject:
    """Envelope to deliver to a reader of ``framing``: ``{codec, blob}``, or
    ``{codec, external_storage}`` of a payload that lies elsewhere."""
    if payload.codec == PLAIN_CODEC:
        external = stored_envelope(payload.data)
        if external is not None:
            return external
        blob = encode_json(payload.data.encode(), framing)
        return {"codec": AVRO_CODEC, "blob": blob}
    return {"codec": payload.codec, "blob": payload.data}


def framed(json: str, framing: Framing) -> JsonValue:
    """What stands in an event for plain JSON: blob text, or the envelope of a payload
    that lies elsewhere."""
    return stored_envelope(json) or encode_json(json.encode(), framing)


def decode_avro(blob: str) -> JsonValue:
    """Value behind a blob in either framing; an empty blob is ``None``.

    Raises ``PayloadDecodeError``.
    """
    if not blob:
        return None
    data = _strict_base64(blob)
    if data.startswith(WRAPPER_PREFIX):
        return _decode_wrapper(data)
    if data.startswith(VALUE_MAGIC):
        return _decode_value(data)
    if data.startswith(TYPED_SCHEMA_PREFIX):
        raise PayloadDecodeError("payloads with their own Avro schema are not readable")
    raise PayloadDecodeError("the first bytes name no known Avro framing")


def decode_for_display(codec: str, blob: str) -> tuple[bool, JsonValue]:
    """``(True, value)``, or ``(False, None)`` when the blob is unreadable."""
    if codec != AVRO_CODEC:
        return False, None
    try:
        return True, decode_avro(blob)
    except PayloadDecodeError:
        return False, None


def display(payload: Payload) -> tuple[bool, JsonValue]:
    """``decode_for_display`` for a stored payload; one that lies elsewhere has to be
    fetched to be readable."""
    if payload.codec == PLAIN_CODEC:
        if stored_envelope(payload.data) is not None:
            return False, None
        return True, orjson.loads(payload.data)
    return decode_for_display(payload.codec, payload.data)


def detect_framing(blob: str) -> Framing | None:
    """Framing of a blob by its first bytes; ``None`` when it has neither."""
    # Four characters hold three bytes: enough for either mark.
    try:
        head = binascii.a2b_base64(blob[:4], strict_mode=True)
    except (binascii.Error, ValueError):
        return None
    if head.startswith(WRAPPER_PREFIX):
        return Framing.WRAPPER
    if head.startswith(VALUE_MAGIC):
        return Framing.VALUE
    return None


def _strict_base64(blob: str) -> bytes:
    try:
        return binascii.a2b_base64(blob, strict_mode=True)
    except (binascii.Error, ValueError):
        if blob.lstrip()[:1] in ("{", "[", '"') or _is_json_scalar(blob):
            raise PayloadDecodeError(
                "the blob looks like JSON text; Avro blobs are base64"
            ) from None
        raise PayloadDecodeError("the blob is not valid base64") from None


def _is_json_scalar(blob: str) -> bool:
    try:
        orjson.loads(blob)
    except orjson.JSONDecodeError:
        return False
    return True


def _decode_wrapper(data: bytes) -> JsonValue:
    json, offset = read_bytes(data, len(WRAPPER_PREFIX))
    _, offset = read_long(data, offset)
    if offset != len(data):
        raise PayloadDecodeError("data follows the end of the payload")
    try:
        value = orjson.loads(json)
    except orjson.JSONDecodeError:
        raise PayloadDecodeError("the wrapped text is not JSON") from None
    if exceeds_depth(value, json):
        raise PayloadDecodeError("value is nested too deeply")
    return value


def _decode_value(data: bytes) -> JsonValue:
    if len(data) < len(_VALUE_PREFIX):
        raise PayloadDecodeError("data ends inside the schema fingerprint")
    if not data.startswith(_VALUE_PREFIX):
        raise PayloadDecodeError("the schema fingerprint is not the Value schema's")
    value, offset = read_value(data, len(_VALUE_PREFIX))
    if offset != len(data):
        raise PayloadDecodeError("data follows the end of the payload")
    return value

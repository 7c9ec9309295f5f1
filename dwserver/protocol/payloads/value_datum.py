"""The Avro record ``durable_workflow.protocol.Value``: any JSON value, typed.

One union per value: null, boolean, long, double, bytes, string, array, map
(``spec/control-plane-api.md`` §13.3). Written by hand because a schema-driven
codec has to wrap every JSON value in a record first, which costs more than the
encoding; the tests hold it against fastavro.
"""

from __future__ import annotations

import math
import struct
from base64 import b64encode
from typing import Final

from dwserver.protocol.json_types import JsonValue
from dwserver.protocol.payloads.avro_binary import (
    read_bytes,
    read_long,
    read_text,
    write_long,
)
from dwserver.protocol.payloads.json_bounds import MAX_DEPTH
from dwserver.protocol.payloads.records import PayloadDecodeError, PayloadEncodeError

# Fingerprint of the schema, as it stands on the wire.
VALUE_FINGERPRINT: Final = bytes.fromhex("e2a33dff55802237")

# The schema, as verifiers of exported histories compare it.
VALUE_SCHEMA: Final = (
    '{"type":"record","name":"Value","namespace":"durable_workflow.protocol",'
    '"fields":[{"name":"value","type":["null",'
    + ",".join(
        f'{{"type":"record","name":"{name}Value",'
        f'"fields":[{{"name":"{field}","type":{kind}}}]}}'
        for name, field, kind in (
            ("Boolean", "boolean", '"boolean"'),
            ("Long", "long", '"long"'),
            ("Double", "double", '"double"'),
            ("Bytes", "bytes", '"bytes"'),
            ("String", "string", '"string"'),
            ("Array", "items", '{"type":"array","items":"Value"}'),
            ("Map", "entries", '{"type":"map","values":"Value"}'),
        )
    )
    + "]}]}"
)

_NULL, _BOOLEAN, _LONG, _DOUBLE, _BYTES, _STRING, _ARRAY, _MAP = range(8)
_DOUBLE_FORMAT: Final = struct.Struct("<d")


def write_value(out: bytearray, value: JsonValue, depth: int = 0) -> None:
    """Append ``value``; ``PayloadEncodeError`` when it has no Avro form."""
    # The branch number is a zig-zag varint too: one byte, the number doubled.
    if isinstance(value, str):
        raw = value.encode()
        out.append(_STRING << 1)
        write_long(out, len(raw))
        out += raw
    elif value is None:
        out.append(_NULL << 1)
    elif isinstance(value, bool):
        out.append(_BOOLEAN << 1)
        out.append(value)
    elif isinstance(value, int):
        out.append(_LONG << 1)
        write_long(out, value)
    elif isinstance(value, float):
        if not math.isfinite(value):
            raise PayloadEncodeError("number is not finite")
        out.append(_DOUBLE << 1)
        out += _DOUBLE_FORMAT.pack(value)
    elif isinstance(value, list | dict):
        _write_container(out, value, depth + 1)
    else:
        raise PayloadEncodeError(f"{type(value).__name__} is not a JSON value")


def _write_container(
    out: bytearray, value: list[JsonValue] | dict[str, JsonValue], depth: int
) -> None:
    if depth > MAX_DEPTH:
        raise PayloadEncodeError("value is nested too deeply")
    is_list = isinstance(value, list)
    out.append((_ARRAY if is_list else _MAP) << 1)
    if value:
        write_long(out, len(value))
    if isinstance(value, list):
        for item in value:
            write_value(out, item, depth)
    else:
        for key, item in value.items():
            raw = key.encode()
            write_long(out, len(raw))
            out += raw
            write_value(out, item, depth)
    out.append(0)


def read_value(data: bytes, offset: int, depth: int = 0) -> tuple[JsonValue, int]:
    """Value at ``offset`` and the offset behind it.

    Bytes come back as base64 text: JSON has no other place for them.
    """
    branch, offset = read_long(data, offset)
    match branch:
        case 0:
            return None, offset
        case 1:
            return _read_boolean(data, offset)
        case 2:
            return read_long(data, offset)
        case 3:
            return _read_double(data, offset)
        case 4:
            raw, offset = read_bytes(data, offset)
            return b64encode(raw).decode(), offset
        case 5:
            return read_text(data, offset)
        case 6 | 7:
            return _read_container(data, offset, branch, depth + 1)
        case _:
            raise PayloadDecodeError("unknown kind of value")


def _read_boolean(data: bytes, offset: int) -> tuple[bool, int]:
    if data[offset : offset + 1] not in (b"\x00", b"\x01"):
        raise PayloadDecodeError("boolean is neither 0 nor 1")
    return data[offset] == 1, offset + 1


def _read_double(data: bytes, offset: int) -> tuple[float, int]:
    end = offset + _DOUBLE_FORMAT.size
    if end > len(data):
        raise PayloadDecodeError("data ends inside a number")
    number = _DOUBLE_FORMAT.unpack_from(data, offset)[0]
    if not math.isfinite(number):
        raise PayloadDecodeError("number is not finite")
    return number, end


def _read_container(
    data: bytes, offset: int, branch: int, depth: int
) -> tuple[JsonValue, int]:
    if depth > MAX_DEPTH:
        raise PayloadDecodeError("value is nested too deeply")
    items: list[JsonValue] = []
    entries: dict[str, JsonValue] = {}
    while True:
        count, offset = read_long(data, offset)
        if count == 0:
            return (items if branch == _ARRAY else entries), offset
        if count < 0:
            # A negative count announces the block's size, useful for skipping.
            count = -count
            _, offset = read_long(data, offset)
        for _ in range(count):
            if branch == _ARRAY:
                item, offset = read_value(data, offset, depth)
                items.append(item)
            else:
                key, offset = read_text(data, offset)
                entries[key], offset = read_value(data, offset, depth)

"""Payload envelopes as the SDKs send them (``spec/performance.md §7``)."""

from __future__ import annotations

import base64

import orjson

PAYLOAD_BYTES = 64
_QUOTES_AND_BRACKETS = 4

Envelope = dict[str, str]


def avro_envelope(value: object) -> Envelope:
    """Base64 of a zero byte and an Avro record ``{json: string, version: int = 1}``."""
    text = orjson.dumps(value)
    raw = b"\x00" + _avro_long(len(text)) + text + _avro_long(1)
    return {"codec": "avro", "blob": base64.b64encode(raw).decode()}


def sample_text() -> str:
    return "x" * (PAYLOAD_BYTES - _QUOTES_AND_BRACKETS)


def _avro_long(number: int) -> bytes:
    """A non-negative number, zigzag and in groups of seven bits, lowest first."""
    rest = number << 1
    encoded = bytearray()
    while rest > 0x7F:
        encoded.append(rest & 0x7F | 0x80)
        rest >>= 7
    encoded.append(rest)
    return bytes(encoded)

"""Avro binary primitives used by both payload framings.

Only what the two fixed schemas need: zig-zag longs and length-prefixed bytes.
"""

from __future__ import annotations

from typing import Final

from dwserver.protocol.payloads.records import PayloadDecodeError, PayloadEncodeError

MIN_LONG: Final = -(1 << 63)
MAX_LONG: Final = (1 << 63) - 1
# Ten groups of seven bits cover 64 bits.
_MAX_VARINT_SHIFT: Final = 63
# Most lengths and branch numbers are below this and take a single byte.
_ONE_BYTE: Final = 64


def write_long(out: bytearray, number: int) -> None:
    """Append a zig-zag varint; ``PayloadEncodeError`` outside 64 bits."""
    if 0 <= number < _ONE_BYTE:
        out.append(number << 1)
        return
    if not MIN_LONG <= number <= MAX_LONG:
        raise PayloadEncodeError("integer is outside the signed 64-bit range")
    rest = (number << 1) ^ (number >> 63)
    while rest > 0x7F:
        out.append((rest & 0x7F) | 0x80)
        rest >>= 7
    out.append(rest)


def read_long(data: bytes, offset: int) -> tuple[int, int]:
    """Value of the varint at ``offset`` and the offset behind it."""
    accumulated = 0
    shift = 0
    try:
        while True:
            byte = data[offset]
            offset += 1
            if byte < 0x80 and not shift:
                return (byte >> 1) ^ -(byte & 1), offset
            accumulated |= (byte & 0x7F) << shift
            if byte < 0x80:
                break
            shift += 7
            if shift > _MAX_VARINT_SHIFT:
                raise PayloadDecodeError("variable-length integer is too long")
    except IndexError:
        raise PayloadDecodeError("data ends inside an integer") from None
    number = (accumulated >> 1) ^ -(accumulated & 1)
    if not MIN_LONG <= number <= MAX_LONG:
        raise PayloadDecodeError("integer is outside the signed 64-bit range")
    return number, offset


def read_bytes(data: bytes, offset: int) -> tuple[bytes, int]:
    """Length-prefixed bytes at ``offset`` and the offset behind them."""
    length, start = read_long(data, offset)
    end = start + length
    if length < 0 or end > len(data):
        raise PayloadDecodeError("data ends inside a string")
    return data[start:end], end


def read_text(data: bytes, offset: int) -> tuple[str, int]:
    """Length-prefixed UTF-8 at ``offset`` and the offset behind it."""
    raw, end = read_bytes(data, offset)
    try:
        return raw.decode(), end
    except UnicodeDecodeError:
        raise PayloadDecodeError("string is not valid UTF-8") from None

"""``json-recursive-ksort-v1``: the one text of a document that everybody hashes.

Keys are sorted, lists keep their order, no blanks; strings as PHP writes them with its
slashes left alone: everything but ASCII is escaped in UTF-16 units, DEL is not
(``spec/history-bundles.md`` §3.2).
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterator
from decimal import Decimal
from json.encoder import encode_basestring_ascii
from typing import Final

from dwserver.protocol.json_types import JsonValue

CANONICALIZATION: Final = "json-recursive-ksort-v1"

# PHP writes fixed digits for exponents from here to there.
_MIN_FIXED: Final = -4
_MAX_FIXED: Final = 16


_ENCODER: Final = json.JSONEncoder(
    sort_keys=True, separators=(",", ":"), allow_nan=False
)
# Where PHP writes something else than this encoder: DEL, and numbers with an exponent.
_DIFFERS: Final = re.compile(r"\\u007f|(?:^|[:\[,])-?[0-9.]+e[-+][0-9]+(?:$|[,\]}])")


def canonical_text(value: JsonValue) -> bytes:
    """The canonical text of decoded JSON; ASCII. ValueError for NaN and infinities,
    TypeError for what is no JSON; however deep ``value`` nests, no RecursionError."""
    return "".join(_pieces(value)).encode("ascii")


def _pieces(value: JsonValue) -> Iterator[str]:
    """The text row by row: of a large document no call takes long, and threads beside
    this one have their turns."""
    if not isinstance(value, dict) or not all(isinstance(key, str) for key in value):
        yield _encoded(value)
        return
    yield "{"
    for position, key in enumerate(sorted(value)):
        yield f"{',' if position else ''}{_text(key)}:"
        member = value[key]
        if isinstance(member, list | tuple):
            yield "["
            for index, item in enumerate(member):
                yield f",{_encoded(item)}" if index else _encoded(item)
            yield "]"
        else:
            yield _encoded(member)
    yield "}"


def _encoded(value: JsonValue) -> str:
    try:
        text = _ENCODER.encode(value)
    except RecursionError:
        return _php_text(value)
    # Most texts have neither, which is told much faster.
    may_differ = "e+" in text or "e-" in text or "\\u007f" in text
    if may_differ and _DIFFERS.search(text) is not None:
        return _php_text(value)
    return text


def _php_text(value: JsonValue) -> str:
    written: list[str] = []
    # What comes next is at the end: text that is ready, or values to be written.
    pending: list[tuple[bool, JsonValue]] = [(False, value)]
    while pending:
        is_text, item = pending.pop()
        if is_text:
            written.append(item)
        elif isinstance(item, dict | list | tuple):
            pending.extend(reversed(list(_parts(item))))
        else:
            written.append(_scalar(item))
    return "".join(written)


def _parts(
    container: dict[str, JsonValue] | list[JsonValue] | tuple[JsonValue, ...],
) -> Iterator[tuple[bool, JsonValue]]:
    if isinstance(container, dict):
        opening, closing = "{}"
        members = [(f"{_text(key)}:", container[key]) for key in sorted(container)]
    else:
        opening, closing = "[]"
        members = [("", item) for item in container]
    yield True, opening
    for position, (name, item) in enumerate(members):
        yield True, f",{name}" if position else name
        yield False, item
    yield True, closing


def _scalar(value: JsonValue) -> str:
    if isinstance(value, str):
        return _text(value)
    if isinstance(value, float):
        return _float(value)
    return json.dumps(value)


def _text(value: str) -> str:
    """As ASCII. TypeError if it is no text."""
    if "\x7f" in value:
        # Python escapes DEL, which PHP does not.
        parts = (encode_basestring_ascii(part)[1:-1] for part in value.split("\x7f"))
        return '"' + "\x7f".join(parts) + '"'
    return encode_basestring_ascii(value)


def _float(value: float) -> str:
    """Shortest digits that read back as the same number; PHP chooses the notation."""
    if not math.isfinite(value):
        raise ValueError(f"{value} is no JSON number")
    sign, digits, power = _shortest(value)
    if _MIN_FIXED <= power <= _MAX_FIXED:
        return sign + _fixed(digits, power)
    return f"{sign}{digits[0]}.{digits[1:] or '0'}e{power:+d}"


def _shortest(value: float) -> tuple[str, str, int]:
    """Sign, digits without a point, and the power of ten of the first one."""
    sign, number, exponent = Decimal(repr(value)).normalize().as_tuple()
    digits = "".join(map(str, number))
    power = int(exponent) + len(digits) - 1 if value else 0
    return "-" if sign else "", digits, power


def _fixed(digits: str, power: int) -> str:
    if power < 0:
        return f"0.{'0' * (-power - 1)}{digits}"
    whole, rest = digits[: power + 1], digits[power + 1 :]
    return f"{whole.ljust(power + 1, '0')}.{rest or '0'}"

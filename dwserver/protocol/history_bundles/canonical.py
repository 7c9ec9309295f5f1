"""``json-recursive-ksort-v1``: the one text of a document that everybody hashes.

Keys are sorted, lists keep their order, no blanks; strings as PHP writes them with its
slashes left alone: everything but ASCII is escaped in UTF-16 units, DEL is not
(``spec/history-bundles.md`` §3.2).
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterator
from decimal import Decimal
from typing import Final

from dwserver.protocol.json_types import JsonValue

CANONICALIZATION: Final = "json-recursive-ksort-v1"

_DEL_ESCAPED: Final = "\\u007f"
# PHP writes fixed digits for exponents from here to there.
_MIN_FIXED: Final = -4
_MAX_FIXED: Final = 16


def canonical_text(value: JsonValue) -> bytes:
    """The canonical text; ASCII. ValueError for NaN and infinities, TypeError for what
    is no JSON."""
    return "".join(_written(value)).encode("ascii")


def _written(value: JsonValue) -> Iterator[str]:
    if isinstance(value, dict):
        yield "{"
        for position, key in enumerate(sorted(value)):
            yield f"{',' if position else ''}{_text(key)}:"
            yield from _written(value[key])
        yield "}"
    elif isinstance(value, list | tuple):
        yield "["
        for position, item in enumerate(value):
            if position:
                yield ","
            yield from _written(item)
        yield "]"
    elif isinstance(value, str):
        yield _text(value)
    elif isinstance(value, float):
        yield _float(value)
    else:
        yield json.dumps(value)


def _text(value: str) -> str:
    written = json.dumps(value)
    # Python escapes DEL, which PHP does not.
    return written.replace(_DEL_ESCAPED, "\x7f") if "\x7f" in value else written


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

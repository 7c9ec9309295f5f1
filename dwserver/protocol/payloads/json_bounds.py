"""Which JSON values every framing and every response body can hold."""

from __future__ import annotations

import re
from typing import Final

from dwserver.protocol.json_types import JsonValue
from dwserver.protocol.payloads.avro_binary import MAX_LONG, MIN_LONG

# The JSON writer gives up at 254 levels, and a value is shown inside a body.
MAX_DEPTH: Final = 200

_LONG_DIGIT_RUN: Final = re.compile(rb"\d{19}")


def exceeds_depth(value: JsonValue, json: bytes) -> bool:
    """Whether ``value``, whose JSON text is ``json``, nests too deeply."""
    # Without enough opening brackets there is no need to look at the value.
    if json.count(b"[") + json.count(b"{") <= MAX_DEPTH:
        return False
    level = [value]
    for _ in range(MAX_DEPTH):
        level = [child for parent in level for child in _containers(parent)]
        if not level:
            return False
    return True


def exceeds_long(value: JsonValue, json: bytes) -> bool:
    """Whether ``value`` holds an integer outside the signed 64-bit range.

    Only those up to 2**64 - 1 arrive as integers: the JSON reader makes floats of
    everything beyond.
    """
    if _LONG_DIGIT_RUN.search(json) is None:
        return False
    pending = [value]
    while pending:
        item = pending.pop()
        if isinstance(item, dict):
            pending.extend(item.values())
        elif isinstance(item, list):
            pending.extend(item)
        elif isinstance(item, int) and not MIN_LONG <= item <= MAX_LONG:
            return True
    return False


def _containers(value: JsonValue) -> list[JsonValue]:
    if isinstance(value, dict):
        return [item for item in value.values() if isinstance(item, list | dict)]
    if isinstance(value, list):
        return [item for item in value if isinstance(item, list | dict)]
    return []

"""Compression of responses (``spec/control-plane-api.md`` §1.5)."""

from __future__ import annotations

import asyncio
import zlib
from enum import StrEnum
from functools import lru_cache
from typing import Final

# Smaller bodies fit a packet or two anyway.
MIN_BODY_BYTES: Final = 1024
# From here on compressing takes long enough to be felt by other requests.
THREAD_BODY_BYTES: Final = 256 * 1024

_LEVEL: Final = 6


class ContentCoding(StrEnum):
    GZIP = "gzip"
    DEFLATE = "deflate"


# Negative: without the zlib header, which is what clients of the reference expect.
_WINDOW_BITS: Final = {
    ContentCoding.GZIP: 16 + zlib.MAX_WBITS,
    ContentCoding.DEFLATE: -zlib.MAX_WBITS,
}


@lru_cache(maxsize=128)
def choose_coding(accept_encoding: str) -> ContentCoding | None:
    """The best coding that the header allows: gzip unless deflate is preferred."""
    qualities: dict[str, float] = {}
    for part in accept_encoding.lower().split(","):
        coding, _, parameters = part.partition(";")
        qualities[coding.strip()] = _quality(parameters)
    other = qualities.get("*", 0.0)
    gzip = qualities.get(ContentCoding.GZIP.value, other)
    deflate = qualities.get(ContentCoding.DEFLATE.value, other)
    if gzip > 0 and gzip >= deflate:
        return ContentCoding.GZIP
    return ContentCoding.DEFLATE if deflate > 0 else None


def _quality(parameters: str) -> float:
    """``q`` of a list member: 1 when absent, 0 when it is no number from 0 to 1."""
    for parameter in parameters.split(";"):
        name, _, value = parameter.partition("=")
        if name.strip() == "q":
            try:
                quality = float(value)
            except ValueError:
                return 0.0
            return quality if 0 <= quality <= 1 else 0.0
    return 1.0


def compress(body: bytes, coding: ContentCoding) -> bytes:
    compressor = zlib.compressobj(_LEVEL, zlib.DEFLATED, _WINDOW_BITS[coding])
    return compressor.compress(body) + compressor.flush()


async def compress_aside(body: bytes, coding: ContentCoding) -> bytes:
    """:func:`compress`, in a thread when the body is large."""
    if len(body) < THREAD_BODY_BYTES:
        return compress(body, coding)
    return await asyncio.to_thread(compress, body, coding)

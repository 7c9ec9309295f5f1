"""The body of a request: size, media type, JSON (``control-plane-api.md`` §1.3)."""

from __future__ import annotations

from typing import Final

import orjson
from aiohttp import hdrs, web

from dwserver.http import errors
from dwserver.protocol.json_types import JsonValue
from dwserver.protocol.payloads.json_bounds import MAX_DEPTH, exceeds_depth
from dwserver.protocol.reasons import Plane

# Bodies of other methods are read and counted, but mean nothing.
METHODS_WITH_BODY: Final = frozenset({"POST", "PUT", "PATCH", "DELETE"})

_JSON_MEDIA_TYPE: Final = "application/json"
_JSON_SUFFIX: Final = "+json"


class ClientGone(ConnectionError):
    """The connection broke before the request was complete or answered."""


async def read_body(request: web.BaseRequest, plane: Plane, *, limit: int) -> bytes:
    """The whole body; the refusal 413 when it is longer than ``limit`` bytes.

    A declared length is checked before anything is read, so that a client that
    waits for permission never sends what would be refused. Raises
    :class:`ClientGone`.
    """
    content = request.content
    try:
        if content.is_eof():
            # It came along with the head, or there is none.
            body = content.read_nowait()
            if len(body) > limit:
                raise errors.payload_too_large(plane, limit)
            return body
        return await _read_rest(request, plane, limit=limit)
    except web.RequestPayloadError as error:
        raise errors.malformed_json(plane, str(error)) from None
    except ConnectionError as error:
        raise ClientGone from error


async def _read_rest(request: web.BaseRequest, plane: Plane, *, limit: int) -> bytes:
    """A body that is still on its way."""
    declared = request.content_length
    if declared is not None and declared > limit:
        raise errors.payload_too_large(plane, limit)
    expectation = request.headers.get(hdrs.EXPECT)
    if expectation is not None:
        await _permit_body(request, expectation)
    body = bytearray()
    while chunk := await request.content.readany():
        body += chunk
        if len(body) > limit:
            raise errors.payload_too_large(plane, limit)
    return bytes(body)


async def _permit_body(request: web.BaseRequest, expectation: str) -> None:
    if expectation.lower() == "100-continue":
        await request.writer.write(b"HTTP/1.1 100 Continue\r\n\r\n")
        # What was written is no part of the response that follows.
        request.writer.output_size = 0


def check_media_type(content_type: str | None, plane: Plane) -> None:
    """Refuse (415) a body that is not declared as JSON."""
    if content_type == _JSON_MEDIA_TYPE:
        return
    media_type = (content_type or "").partition(";")[0].strip().lower()
    if media_type != _JSON_MEDIA_TYPE and not media_type.endswith(_JSON_SUFFIX):
        raise errors.unsupported_media_type(plane)


def parse_json(raw: bytes, plane: Plane) -> JsonValue:
    """Any JSON document; the refusal 400 for what is none or nests too deeply."""
    try:
        value = orjson.loads(raw)
    except orjson.JSONDecodeError as error:
        raise errors.malformed_json(plane, str(error)) from None
    if exceeds_depth(value, raw):
        raise errors.malformed_json(plane, f"more than {MAX_DEPTH} levels are nested")
    return value

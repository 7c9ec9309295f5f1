"""The body of a request: size, media type, JSON (``control-plane-api.md`` §1.3)."""

from __future__ import annotations

from typing import Final

import orjson

from dwserver.http import errors
from dwserver.http.request import Request
from dwserver.protocol.json_types import JsonValue
from dwserver.protocol.payloads.json_bounds import MAX_DEPTH, exceeds_depth
from dwserver.protocol.reasons import Plane

# Bodies of other methods are read and counted, but mean nothing.
METHODS_WITH_BODY: Final = frozenset({"POST", "PUT", "PATCH", "DELETE"})

_JSON_MEDIA_TYPE: Final = "application/json"
_JSON_SUFFIX: Final = "+json"


def read_body(request: Request, plane: Plane, *, limit: int) -> bytes:
    """The whole body; the refusal 413 when it is longer than ``limit`` bytes, 503 when
    it came beside another bundle."""
    if request.is_crowded_out:
        raise errors.bundle_crowded_out(plane)
    if request.is_too_large or len(request.body) > limit:
        raise errors.payload_too_large(plane, limit)
    return request.body


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

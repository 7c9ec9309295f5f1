"""A connection of a client, and its answer to bytes that are no HTTP request."""

from __future__ import annotations

from typing import Final

import orjson
import structlog
from aiohttp import hdrs, web

from dwserver.http import errors
from dwserver.http.answer import Answer, header_lines
from dwserver.http.envelopes import CONTROL_LINES, JSON_LINE
from dwserver.protocol.reasons import Plane

_BAD_REQUEST: Final = 400
_LINES: Final = CONTROL_LINES + JSON_LINE + header_lines({hdrs.CONNECTION: "close"})
_BODY: Final = orjson.dumps(
    errors.body_of(errors.malformed_request(Plane.CONTROL), Plane.CONTROL)
)

_log = structlog.stdlib.get_logger(__name__)


class Connection(web.RequestHandler):
    """Refuses as the routes do; the HTTP library would repeat what the client sent, in
    the answer and in a line of the log that has the level of an error."""

    __slots__ = ()

    def handle_error(
        self,
        request: web.BaseRequest,
        status: int = 500,
        exc: BaseException | None = None,
        message: str | None = None,
    ) -> web.StreamResponse:
        if status != _BAD_REQUEST:
            return super().handle_error(request, status, exc, message)
        _log.debug("http_malformed", client=request.remote, error=type(exc).__name__)
        if request.writer.output_size > 0:
            raise ConnectionError("an answer is on its way already")
        answer = Answer(_BAD_REQUEST, _LINES, _BODY)
        answer.force_close()
        return answer

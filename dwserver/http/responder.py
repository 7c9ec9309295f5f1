"""From a handler's reply to the response: envelope, compression, headers."""

from __future__ import annotations

from collections.abc import Awaitable
from typing import Final

import orjson
from aiohttp import hdrs

from dwserver.http import errors
from dwserver.http.answer import Answer, DateLine, header_lines
from dwserver.http.call import Refusal, Reply
from dwserver.http.compression import (
    MIN_BODY_BYTES,
    ContentCoding,
    choose_coding,
    compress_aside,
)
from dwserver.http.envelopes import (
    CONTROL_LINES,
    DISCOVERY_LINES,
    JSON_LINE,
    WorkerEnvelope,
)
from dwserver.http.exchange import Exchange
from dwserver.http.node import NodeFacts

_OK: Final = 200
_CODING_LINES: Final = {
    coding: header_lines(
        {hdrs.CONTENT_ENCODING: coding.value, hdrs.VARY: hdrs.ACCEPT_ENCODING}
    )
    for coding in ContentCoding
}


class Responder:
    """Renders replies and refusals in the envelope of their plane."""

    def __init__(self, node: NodeFacts) -> None:
        self._envelope = WorkerEnvelope(node.features, node.advertised_version)
        self._date = DateLine()
        self._is_compression_enabled = node.features.is_compression_enabled

    def reply(self, exchange: Exchange, reply: Reply) -> Awaitable[Answer]:
        endpoint = exchange.endpoint
        if endpoint is not None and not endpoint.is_hosted:
            # Discovery has no version of its own; its refusals are the plane's.
            return self._render(exchange, reply, DISCOVERY_LINES)
        return self._render(exchange, reply, self._plane_lines(exchange))

    def refusal(self, exchange: Exchange, refusal: Refusal) -> Awaitable[Answer]:
        body = errors.body_of(refusal, exchange.plane)
        reply = Reply(refusal.status, body, refusal.headers)
        return self._render(exchange, reply, self._plane_lines(exchange))

    async def _render(self, exchange: Exchange, reply: Reply, plane: bytes) -> Answer:
        body = self._body(exchange, reply)
        lines = self._lines(exchange, plane + JSON_LINE)
        if reply.headers:
            lines += header_lines(reply.headers)
        if self._is_compression_enabled and len(body) >= MIN_BODY_BYTES:
            accepted = exchange.request.headers.get(hdrs.ACCEPT_ENCODING)
            coding = choose_coding(accepted) if accepted else None
            if coding is not None and hdrs.CONTENT_ENCODING not in reply.headers:
                body = await compress_aside(body, coding)
                lines += _CODING_LINES[coding]
        return Answer(reply.status, lines, body)

    def options(self, exchange: Exchange, methods: tuple[str, ...]) -> Answer:
        """The empty answer to OPTIONS on a path of the table."""
        allow = header_lines({hdrs.ALLOW: ", ".join((*methods, hdrs.METH_OPTIONS))})
        lines = self._lines(exchange, self._plane_lines(exchange) + allow)
        return Answer(_OK, lines, b"")

    def _body(self, exchange: Exchange, reply: Reply) -> bytes:
        if exchange.is_worker:
            return self._envelope.wrap(reply.body, exchange.version)
        endpoint = exchange.endpoint
        if endpoint is not None and endpoint.envelope is not None:
            return endpoint.envelope.wrap(reply.body, exchange.params, reply.projected)
        if isinstance(reply.body, bytes):
            return reply.body
        return orjson.dumps(reply.body)

    def _lines(self, exchange: Exchange, fixed: bytes) -> bytes:
        request_id = exchange.request_id.encode()
        return b"%b%bX-Request-Id: %b\r\n" % (fixed, self._date.now(), request_id)

    def _plane_lines(self, exchange: Exchange) -> bytes:
        if exchange.is_worker:
            return self._envelope.lines(exchange.version)
        return CONTROL_LINES

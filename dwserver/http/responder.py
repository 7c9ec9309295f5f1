"""From a handler's reply to the response: envelope, compression, headers."""

from __future__ import annotations

from typing import Final

import orjson
from aiohttp import hdrs, web

from dwserver.http import errors
from dwserver.http.call import Refusal, Reply
from dwserver.http.compression import MIN_BODY_BYTES, choose_coding, compress_aside
from dwserver.http.envelopes import (
    CONTROL_HEADERS,
    DISCOVERY_HEADERS,
    Headers,
    WorkerEnvelope,
)
from dwserver.http.exchange import Exchange
from dwserver.http.node import NodeFacts
from dwserver.http.observation import REQUEST_ID_HEADER

_OK: Final = 200


class Responder:
    """Renders replies and refusals in the envelope of their plane."""

    def __init__(self, node: NodeFacts) -> None:
        self._envelope = WorkerEnvelope(node.features, node.advertised_version)
        self._is_compression_enabled = node.features.is_compression_enabled

    async def reply(self, exchange: Exchange, reply: Reply) -> web.Response:
        endpoint = exchange.endpoint
        if endpoint is not None and not endpoint.is_hosted:
            # Discovery has no version of its own; its refusals are the plane's.
            return await self._render(exchange, reply, DISCOVERY_HEADERS)
        return await self._render(exchange, reply, self._headers(exchange))

    async def refusal(self, exchange: Exchange, refusal: Refusal) -> web.Response:
        body = errors.body_of(refusal, exchange.plane)
        reply = Reply(refusal.status, body, refusal.headers)
        return await self._render(exchange, reply, self._headers(exchange))

    async def _render(
        self, exchange: Exchange, reply: Reply, base: Headers
    ) -> web.Response:
        body = self._body(exchange, reply)
        response = web.Response(body=body, status=reply.status, headers=base)
        headers = response.headers
        headers[REQUEST_ID_HEADER] = exchange.request_id
        if reply.headers:
            headers.update(reply.headers)
        if self._is_compression_enabled and len(body) >= MIN_BODY_BYTES:
            accepted = exchange.request.headers.get(hdrs.ACCEPT_ENCODING)
            if accepted:
                await _compress(response, body, accepted)
        return response

    def options(self, exchange: Exchange, methods: tuple[str, ...]) -> web.Response:
        """The empty answer to OPTIONS on a path of the table."""
        headers = self._headers(exchange).copy()
        del headers[hdrs.CONTENT_TYPE]
        headers[hdrs.ALLOW] = ", ".join((*methods, hdrs.METH_OPTIONS))
        headers[REQUEST_ID_HEADER] = exchange.request_id
        return web.Response(status=_OK, headers=headers)

    def _body(self, exchange: Exchange, reply: Reply) -> bytes:
        if exchange.is_worker:
            return self._envelope.wrap(reply.body, exchange.version)
        endpoint = exchange.endpoint
        if endpoint is not None and endpoint.envelope is not None:
            return endpoint.envelope.wrap(reply.body, exchange.params, reply.projected)
        if isinstance(reply.body, bytes):
            return reply.body
        return orjson.dumps(reply.body)

    def _headers(self, exchange: Exchange) -> Headers:
        if exchange.is_worker:
            return self._envelope.headers(exchange.version)
        return CONTROL_HEADERS


async def _compress(response: web.Response, body: bytes, accepted: str) -> None:
    coding = choose_coding(accepted)
    if coding is None or hdrs.CONTENT_ENCODING in response.headers:
        return
    response.body = await compress_aside(body, coding)
    response.headers[hdrs.CONTENT_ENCODING] = coding.value
    response.headers[hdrs.VARY] = hdrs.ACCEPT_ENCODING

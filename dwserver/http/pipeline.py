"""From a request to its response: the ordered checks, the handler, the envelope.

Source: ``spec/control-plane-api.md`` §1.2, ``spec/topology-and-operations.md`` §2.2,
``decisions.md`` 2.
"""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable, Iterable
from typing import Final

from aiohttp import hdrs
from multidict import istr

from dwserver.http import errors
from dwserver.http.access_resource import access_resource
from dwserver.http.answer import Answer
from dwserver.http.auth.access import Access, Attempt, Forbidden
from dwserver.http.auth.authenticator import AuthMisconfigured, Unauthenticated
from dwserver.http.auth.principal import ANONYMOUS, Principal
from dwserver.http.body import (
    METHODS_WITH_BODY,
    check_media_type,
    parse_json,
    read_body,
)
from dwserver.http.call import Call, Refusal, Reply
from dwserver.http.exchange import Endpoint, Exchange, endpoint_of
from dwserver.http.forwarding.credential import FORWARDED_HEADER, REFUSED, Signed
from dwserver.http.namespace import requested_namespace
from dwserver.http.node import Backend, NodeFacts
from dwserver.http.observation import Observer
from dwserver.http.peers import Forwarder, TrustedPeers
from dwserver.http.request import ClientGone, Request
from dwserver.http.responder import Responder
from dwserver.http.route import Route, plane_of
from dwserver.http.router import Router
from dwserver.http.text import valid_text
from dwserver.protocol.json_types import JsonObject, JsonValue
from dwserver.protocol.reasons import Plane
from dwserver.protocol.versions import (
    CONTROL_PLANE_HEADER,
    WORKER_PROTOCOL_HEADER,
    VersionRefusal,
    WorkerNegotiation,
    check_control_plane_version,
    negotiate_worker_version,
)
from dwserver.services.catalog import Services

_UNTRUSTED: Final = "The header of a forwarded request was not signed by a peer."

_CONTROL_VERSION_HEADER: Final = istr(CONTROL_PLANE_HEADER)
_WORKER_VERSION_HEADER: Final = istr(WORKER_PROTOCOL_HEADER)


class Pipeline:
    """The request handler of a process. ``trusted``: whose requests count as let in;
    ``forwarder`` None: this node passes nothing on."""

    def __init__(
        self,
        routes: Iterable[Route],
        services: Services,
        node: NodeFacts,
        *,
        access: Access,
        backend: Backend,
        observer: Observer,
        trusted: TrustedPeers,
        forwarder: Forwarder | None = None,
    ) -> None:
        self.max_body_bytes = node.max_body_bytes
        self._services = services
        self._node = node
        self._access = access
        self._bootstrap = backend.bootstrap
        self._has_namespace = backend.namespace_exists
        self._failures = backend.failures
        self._observer = observer
        self._trusted = trusted
        self._forwarder = forwarder
        self._responder = Responder(node)
        self._router = Router(
            (route.method.value, route.path, endpoint_of(route, node.identity))
            for route in routes
        )

    async def handle(self, request: Request) -> Answer:
        """Answer a request; raises only when its client has gone."""
        started_at = time.perf_counter()
        request_id = self._observer.begin(request.headers)
        path, query_string = request.split_target()
        plane = plane_of(path)
        exchange = Exchange(
            request, request_id, path, query_string, plane, plane is Plane.WORKER
        )
        try:
            endpoint = self._find_endpoint(exchange)
            if endpoint is None:
                response = self._options(exchange)
            else:
                reply = await self._process(exchange, endpoint)
                if isinstance(reply, Answer):
                    response = reply
                elif reply.on_undelivered is None:
                    response = await self._responder.reply(exchange, reply)
                else:
                    response = await self._deliver(
                        exchange, reply, reply.on_undelivered
                    )
        except Refusal as refusal:
            response = await self._refuse(exchange, refusal)
        except ClientGone:
            raise
        except Exception as error:
            response = await self._refuse(exchange, self._explained(exchange, error))
        seconds = time.perf_counter() - started_at
        self._observer.finish(
            exchange.label, response.status, seconds, params=exchange.params
        )
        return response

    async def _deliver(
        self,
        exchange: Exchange,
        reply: Reply,
        on_undelivered: Callable[[], Awaitable[None]],
    ) -> Answer:
        """Write the response here, so that a client that has gone is noticed."""
        try:
            response = await self._responder.reply(exchange, reply)
            await response.write(exchange.request)
        except ConnectionError as error:
            await on_undelivered()
            raise ClientGone from error
        except BaseException:
            await on_undelivered()
            raise
        return response

    async def _refuse(self, exchange: Exchange, refusal: Refusal) -> Answer:
        if exchange.is_worker and exchange.version is None:
            # Refused before the check of the version: in the one that was asked for.
            negotiated = self._negotiated(exchange)
            if not isinstance(negotiated, VersionRefusal):
                exchange.version = negotiated
        try:
            return await self._responder.refusal(exchange, refusal)
        except Exception as error:
            # A handler refused with fields that are no JSON.
            explained = self._explained(exchange, error)
            return await self._responder.refusal(exchange, explained)

    # The order of the calls below is the contract's order of checks.
    async def _process(self, exchange: Exchange, endpoint: Endpoint) -> Reply | Answer:
        route, request, plane = endpoint.route, exchange.request, exchange.plane
        raw = read_body(request, plane, limit=self._body_limit(route))
        body = _parsed(exchange, raw)
        query = exchange.query()
        namespace = requested_namespace(
            request.headers, query, default=self._node.default_namespace
        )
        credential = request.headers.get(FORWARDED_HEADER)
        if credential is not None and route.allowed_roles is not None:
            principal = self._trust(exchange, credential, raw, namespace=namespace)
        else:
            principal = await self._admit(
                exchange,
                route,
                raw,
                resource=lambda: access_resource(
                    route,
                    valid_text(exchange.path),
                    params=exchange.params,
                    body=body,
                    namespace=namespace,
                    default_namespace=self._node.default_namespace,
                ),
            )
        if endpoint.is_hosted:
            self._check_version(exchange)
        if (
            endpoint.is_better_elsewhere
            and self._forwarder is not None
            and not exchange.is_forwarded
        ):
            answer = await self._forwarder.forward(
                exchange, endpoint, principal, raw=raw, body=body, namespace=namespace
            )
            if answer is not None:
                return answer
        if not endpoint.is_here or exchange.is_forwarded:
            self._check_roles(exchange, endpoint)
        if endpoint.is_bootstrap_gated and not self._bootstrap.is_open:
            await self._check_bootstrap(plane)
        if endpoint.needs_namespace and not (
            # No column holds a null character, and no name is empty.
            namespace and "\0" not in namespace and await self._has_namespace(namespace)
        ):
            raise errors.namespace_not_found(plane, namespace)
        call = Call(
            request,
            route.operation,
            exchange.params,
            query,
            body,
            principal,
            namespace,
            exchange.request_id,
            exchange.version,
            self._node.attribution,
            exchange.origin,
        )
        return await endpoint.handler(self._services, call)

    def bundle_limit(self, request: Request) -> int | None:
        """How large the body may be, if the route is one for bundles; None for the
        usual limit."""
        match = self._router.find(request.split_target()[0])
        endpoint = match[0].endpoints.get(request.method) if match else None
        if endpoint is None or not endpoint.route.takes_bundles:
            return None
        return self._body_limit(endpoint.route)

    def _body_limit(self, route: Route) -> int:
        if not route.takes_bundles:
            return self.max_body_bytes
        return max(self.max_body_bytes, self._node.max_bundle_bytes)

    def _find_endpoint(self, exchange: Exchange) -> Endpoint | None:
        """The endpoint of the request (404, 405), ``None`` for OPTIONS."""
        match = self._router.find(exchange.path)
        if match is None:
            raise errors.not_found(exchange.plane, valid_text(exchange.path))
        method = exchange.request.method
        resource, values = match
        endpoint = resource.endpoints.get(method)
        if endpoint is None:
            if method == hdrs.METH_OPTIONS:
                return None
            raise errors.method_not_allowed(
                exchange.plane,
                exchange.path,
                method=method,
                supported=resource.methods,
            )
        exchange.endpoint = endpoint
        if values:
            exchange.params = dict(zip(endpoint.parameters, values, strict=True))
        return endpoint

    def _options(self, exchange: Exchange) -> Answer:
        match = self._router.find(exchange.path)
        methods = match[0].methods if match else ()
        return self._responder.options(exchange, methods)

    async def _admit(
        self,
        exchange: Exchange,
        route: Route,
        raw: bytes,
        *,
        resource: Callable[[], JsonObject],
    ) -> Principal:
        """Who sends the request (401, 500), if it may use the route (403)."""
        if route.allowed_roles is None:
            return ANONYMOUS
        request, plane = exchange.request, exchange.plane
        attempt = Attempt(
            request.method,
            exchange.path,
            exchange.query_string,
            request.headers,
            raw,
            route.allowed_roles,
            resource,
        )
        try:
            return await self._access.admit(attempt)
        except Unauthenticated as error:
            raise errors.unauthorized(plane, str(error)) from None
        except AuthMisconfigured as error:
            raise errors.misconfigured(plane, str(error)) from None
        except Forbidden as refused:
            raise errors.forbidden(
                plane, refused.principal, route.allowed_roles
            ) from None

    def _trust(
        self, exchange: Exchange, credential: str, raw: bytes, *, namespace: str
    ) -> Principal:
        """Who sends the request that another node has let in (401)."""
        request = exchange.request
        signed = Signed(
            method=request.method,
            target=exchange.target,
            namespace=namespace,
            body=raw,
        )
        forwarded = self._trusted.verify(credential, signed)
        if forwarded is None:
            raise _for_sender(errors.unauthorized(exchange.plane, _UNTRUSTED))
        exchange.origin = forwarded.origin
        exchange.request_id = forwarded.origin.request_id
        self._observer.rename(exchange.request_id)
        return forwarded.principal

    def _check_roles(self, exchange: Exchange, endpoint: Endpoint) -> None:
        """Whether this node may answer the request itself (503)."""
        if exchange.is_forwarded:
            is_here, required = endpoint.is_here_for_peers, endpoint.required_of_peers
        else:
            is_here, required = endpoint.is_here, endpoint.route.required_roles
        if not is_here:
            identity = self._node.identity
            refusal = errors.role_not_hosted(exchange.plane, identity, required)
            raise _for_sender(refusal) if exchange.is_forwarded else refusal

    def _check_version(self, exchange: Exchange) -> None:
        headers, plane = exchange.request.headers, exchange.plane
        if plane is Plane.CONTROL:
            sent = headers.get(_CONTROL_VERSION_HEADER)
            refused = check_control_plane_version(sent and valid_text(sent))
            if refused is not None:
                raise errors.version_refused(plane, refused)
            return
        negotiated = self._negotiated(exchange)
        if isinstance(negotiated, VersionRefusal):
            raise errors.version_refused(plane, negotiated)
        exchange.version = negotiated

    def _negotiated(self, exchange: Exchange) -> WorkerNegotiation:
        sent = exchange.request.headers.get(_WORKER_VERSION_HEADER)
        return negotiate_worker_version(
            sent and valid_text(sent), self._node.advertised_version
        )

    async def _check_bootstrap(self, plane: Plane) -> None:
        blocked_by = await self._bootstrap.blockers()
        if blocked_by:
            raise errors.bootstrap_blocked(plane, blocked_by)

    def _explained(self, exchange: Exchange, error: Exception) -> Refusal:
        """What the client is told about an exception; the log gets the exception."""
        plane, request_id = exchange.plane, exchange.request_id
        label, params = exchange.label, exchange.params
        if isinstance(error, self._failures.contended):
            self._observer.backend_failed(label, error, params=params)
            driver = self._node.backend_driver
            return errors.backend_contended(plane, request_id, driver=driver)
        if isinstance(error, self._failures.unavailable):
            self._observer.backend_failed(label, error, params=params)
            return errors.backend_unavailable(plane, request_id)
        self._observer.failed(label, error, params=params)
        return errors.unexpected(plane, request_id)


def _for_sender(refusal: Refusal) -> Refusal:
    """The node that passed the request on reads this, not its client."""
    refusal.headers = {FORWARDED_HEADER: REFUSED}
    return refusal


def _parsed(exchange: Exchange, raw: bytes) -> JsonValue:
    """The JSON of the body (415, 400), ``{}`` when there is none."""
    request = exchange.request
    if not raw or request.method not in METHODS_WITH_BODY:
        return {}
    check_media_type(request.headers.get(hdrs.CONTENT_TYPE), exchange.plane)
    return parse_json(raw, exchange.plane)

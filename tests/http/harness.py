"""A server of fake handlers: the whole way of a request, without a database."""

from __future__ import annotations

import asyncio
import io
from collections.abc import AsyncIterator, Iterable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from functools import lru_cache
from typing import Any, cast

import aiohttp
import orjson
from yarl import URL

from dwserver.http.auth.access import Access, RoleAccess
from dwserver.http.auth.authenticator import Authenticator, Credentials
from dwserver.http.auth.drivers import build_authenticator
from dwserver.http.call import Call, Reply
from dwserver.http.node import Backend, BackendFailures, NodeFacts
from dwserver.http.observation import Observer
from dwserver.http.peers import Forwarder, TrustedPeers
from dwserver.http.pipeline import Pipeline
from dwserver.http.request_fields import checked
from dwserver.http.route import (
    ADMINS,
    Handler,
    Method,
    NamespaceRule,
    Route,
    management_route,
    worker_route,
    workflow_route,
)
from dwserver.http.server import HttpServer, ListenerSettings
from dwserver.protocol.capabilities import Capability, WorkerCommand, WorkingFeatures
from dwserver.protocol.control_plane import Operation
from dwserver.protocol.validation import Field
from dwserver.protocol.versions import WorkerVersion
from dwserver.runtime.ids import SequentialIds
from dwserver.runtime.metrics import Metrics
from dwserver.services.catalog import Services
from dwserver.topology.identity import NodeIdentity
from dwserver.topology.shapes import ProcessClass, Shape
from tests.support.api_description import ApiDescription, description_of

HOST = "127.0.0.1"
TOKENS = Credentials(
    worker="worker-token", operator="operator-token", admin="admin-token"
)
CONTROL = {
    "Authorization": "Bearer operator-token",
    "X-Durable-Workflow-Control-Plane-Version": "2",
}
WORKER = {
    "Authorization": "Bearer worker-token",
    "X-Durable-Workflow-Protocol-Version": "1.20",
}
MAX_BODY_BYTES = 2_097_152
NOW = 1_767_225_600_000_000


class DatabaseDown(Exception):
    """Stands for the store's error."""


class Contended(Exception):
    """Stands for a service that gave up on a busy run."""


class FakeGate:
    """A bootstrap gate with a switch."""

    def __init__(self, *blocked_by: str) -> None:
        self.blocked_by = blocked_by

    @property
    def is_open(self) -> bool:
        return not self.blocked_by

    async def blockers(self) -> tuple[str, ...]:
        return self.blocked_by


async def answer_ok(_services: Services, _call: Call) -> Reply:
    return Reply(200, {"ok": True})


async def start(_services: Services, call: Call) -> Reply:
    checked(call.body, (Field("workflow_type", required=True),))
    return Reply(201, {"outcome": "started_new"})


async def register(_services: Services, call: Call) -> Reply:
    fields = (Field("task_queue", required=True), Field("runtime", required=True))
    checked(call.body, fields)
    return Reply(201, {"registered": True})


async def poll(_services: Services, call: Call) -> Reply:
    fields = (Field("worker_id", required=True), Field("task_queue", required=True))
    checked(call.body, fields)
    return Reply(200, b'{"task":null}')


ROUTES = (
    workflow_route(
        Method.GET, "", Operation.LIST, handler=answer_ok, is_bootstrap_gated=True
    ),
    workflow_route(
        Method.POST, "", Operation.START, handler=start, is_bootstrap_gated=True
    ),
    workflow_route(Method.GET, "/{workflow_id}", Operation.DESCRIBE, handler=answer_ok),
    workflow_route(
        Method.GET,
        "/{workflow_id}/runs/{run_id}/history",
        Operation.HISTORY,
        handler=answer_ok,
    ),
    workflow_route(
        Method.POST,
        "/{workflow_id}/signal/{signal_name}",
        Operation.SIGNAL,
        handler=answer_ok,
    ),
    management_route(
        Method.POST,
        "/namespaces",
        operation="store",
        handler=answer_ok,
        allowed_roles=ADMINS,
        namespace=NamespaceRule.EXEMPT,
    ),
    management_route(
        Method.DELETE,
        "/workers/{worker_id}",
        operation="destroy",
        handler=answer_ok,
        allowed_roles=ADMINS,
    ),
    *(
        management_route(
            Method.GET,
            path,
            operation=path,
            handler=answer_ok,
            allowed_roles=ADMINS,
        )
        for path in ("/system/metrics", "/system/repair")
    ),
    *(
        management_route(Method.GET, path, operation="index", handler=answer_ok)
        for path in ("/schedules", "/task-queues")
    ),
    worker_route(Method.POST, "/register", operation="register", handler=register),
    worker_route(Method.POST, "/workflow-tasks/poll", operation="poll", handler=poll),
    worker_route(
        Method.POST,
        "/workflow-tasks/{task_id}/complete",
        operation="complete",
        handler=answer_ok,
    ),
)


def with_handler(label: str, handler: Handler) -> tuple[Route, ...]:
    """The fake routes with one handler replaced."""
    assert any(route.label == label for route in ROUTES), label
    return tuple(
        replace(route, handler=handler) if route.label == label else route
        for route in ROUTES
    )


@dataclass(frozen=True, kw_only=True)
class Node:
    """What a test may vary about the server."""

    shape: Shape = Shape.STANDALONE_SERVER
    process_class: ProcessClass = ProcessClass.SERVER_HTTP_NODE
    advertised: str = "1.20"
    authenticator: Authenticator = field(
        default_factory=lambda: build_authenticator(
            "token", tokens=TOKENS, signature_keys=Credentials()
        )
    )
    access: Access | None = None
    gate: FakeGate = field(default_factory=FakeGate)
    namespaces: frozenset[str] = frozenset({"default"})
    is_compression_enabled: bool = True
    max_body_bytes: int = MAX_BODY_BYTES
    max_bundle_bytes: int = 67_108_864
    metrics: Metrics = field(default_factory=Metrics)
    peer_key: bytes | None = None
    forwarder: Forwarder | None = None

    @property
    def identity(self) -> NodeIdentity:
        return NodeIdentity(shape=self.shape, process_class=self.process_class)

    @property
    def facts(self) -> NodeFacts:
        version = WorkerVersion.parse(self.advertised)
        assert version is not None
        return NodeFacts(
            identity=self.identity,
            features=WorkingFeatures(
                commands=frozenset(WorkerCommand),
                capabilities=frozenset(Capability),
                is_compression_enabled=self.is_compression_enabled,
            ),
            advertised_version=version,
            default_namespace="default",
            max_body_bytes=self.max_body_bytes,
            max_bundle_bytes=self.max_bundle_bytes,
            backend_driver="fake",
        )

    async def namespace_exists(self, name: str) -> bool:
        return name in self.namespaces

    def pipeline(self, routes: Iterable[Route]) -> DescribedPipeline:
        return DescribedPipeline(
            tuple(routes),
            cast(Services, None),
            self.facts,
            access=self.access or RoleAccess(self.authenticator),
            backend=Backend(
                bootstrap=self.gate,
                namespace_exists=self.namespace_exists,
                failures=BackendFailures(
                    unavailable=(DatabaseDown,), contended=(Contended,)
                ),
            ),
            observer=Observer(self.metrics, SequentialIds().next),
            trusted=TrustedPeers(self.peer_key, now=lambda: NOW),
            forwarder=self.forwarder,
        )


class DescribedPipeline(Pipeline):
    """A pipeline that can tell how its routes are described."""

    def __init__(self, routes: tuple[Route, ...], *others: Any, **options: Any) -> None:
        super().__init__(routes, *others, **options)
        self.description = _description_of(routes)


@lru_cache
def _description_of(routes: tuple[Route, ...]) -> ApiDescription:
    return description_of(routes)


@dataclass(frozen=True)
class Answer:
    status: int
    headers: Mapping[str, str]
    raw: bytes

    @property
    def body(self) -> Any:
        return orjson.loads(self.raw)

    @property
    def is_plain(self) -> bool:
        return "Content-Encoding" not in self.headers


class Client:
    """Sends requests as they are given: nothing is normalised or decoded. Answers must
    be as the API is described."""

    def __init__(
        self,
        session: aiohttp.ClientSession,
        port: int,
        description: ApiDescription | None = None,
    ) -> None:
        self._session = session
        self._description = description
        self.port = port

    async def send(
        self,
        method: str,
        path: str,
        headers: Mapping[str, str] | None = None,
        *,
        body: bytes | None = None,
    ) -> Answer:
        url = URL(f"http://{HOST}:{self.port}{path}", encoded=True)
        data = None if body is None else io.BytesIO(body)
        sent = self._session.request(method, url, headers=headers, data=data)
        async with sent as response:
            raw = await response.read()
            answer = Answer(response.status, response.headers, raw)
        if self._description is not None and answer.is_plain:
            problems = self._description.problems(
                method,
                path,
                status=answer.status,
                headers={name.lower(): value for name, value in answer.headers.items()},
                body=answer.body if raw else None,
            )
            assert not problems, "\n".join(problems)
        return answer

    async def send_json(
        self, method: str, path: str, headers: Mapping[str, str], *, body: object
    ) -> Answer:
        with_type = {**headers, "Content-Type": "application/json"}
        return await self.send(method, path, with_type, body=orjson.dumps(body))

    async def send_raw(self, request: bytes) -> bytes:
        """Whatever the server writes until it closes; the request should ask so."""
        reader, writer = await asyncio.open_connection(HOST, self.port)
        try:
            writer.write(request)
            return await reader.read()
        finally:
            writer.close()
            await writer.wait_closed()


@asynccontextmanager
async def serving(pipeline: Pipeline) -> AsyncIterator[Client]:
    """A listener on a free port, and a client for it."""
    server = HttpServer(
        pipeline,
        ListenerSettings(host=HOST, port=0, shutdown_timeout_seconds=1),
        begin_drain=lambda: None,
        release_polls=lambda: None,
    )
    await server.start()
    try:
        description = (
            pipeline.description if isinstance(pipeline, DescribedPipeline) else None
        )
        async with client_of(server.port, description) as client:
            yield client
    finally:
        await server.stop()


@asynccontextmanager
async def client_of(
    port: int, description: ApiDescription | None = None
) -> AsyncIterator[Client]:
    skipped = ("User-Agent", "Accept-Encoding", "Content-Type")
    async with aiohttp.ClientSession(
        skip_auto_headers=skipped, auto_decompress=False
    ) as session:
        yield Client(session, port, description)

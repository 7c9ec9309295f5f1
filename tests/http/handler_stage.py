"""A stage for one handler: services that note every call and answer as prepared.

A handler that calls what was not prepared fails the test, so a test without prepared
answers shows that a refused request reached no service.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any, cast

import orjson

from dwserver.engine.context import Limits
from dwserver.http.auth.principal import ANONYMOUS
from dwserver.http.call import Call, Refusal, Reply
from dwserver.http.errors import body_of
from dwserver.http.request import Request
from dwserver.http.route import Route
from dwserver.protocol.payloads.framing import Framing
from dwserver.protocol.reasons import Plane
from dwserver.protocol.versions import WorkerVersion
from dwserver.services.catalog import RequestLimits, Services
from tests.http.handler_shapes import undocumented

NAMESPACE = "orders"
# 2026-04-13T12:00:00Z
NOW = 1_776_081_600_000_000
MICROS = 1_000_000

# What is beside the services in their catalogue.
NO_SERVICES = {"limits", "now", "next_id"}

LIMITS = RequestLimits(
    poll_timeout_seconds=30,
    query_poll_timeout_seconds=5,
    history_page_default=500,
    history_page_max=1000,
    payload_bytes=2_097_152,
    external_payload_bytes=16_777_216,
    memo_bytes=262_144,
    search_attributes=100,
    attributes=Limits(),
    operation_name_bytes=256,
    update_wait_seconds=10,
    retention_days=30,
    default_task_queue="default",
    worker_heartbeat_interval_seconds=60,
    control_plane_framing=Framing.WRAPPER,
    compatibility=None,
)


@dataclass(frozen=True)
class Noted:
    """One call of a service."""

    name: str
    arguments: tuple[Any, ...]
    options: Mapping[str, Any]


@dataclass
class Answer:
    """What came back: the members of the body, as the plane's envelope gets them."""

    status: int
    body: dict[str, Any]
    reply: Reply | None = None


class _Service:
    def __init__(self, name: str, stage: Stage) -> None:
        self._name = name
        self._stage = stage

    def __getattr__(self, method: str) -> Any:
        name = f"{self._name}.{method}"
        if name in self._stage.facts:
            return self._stage.facts[name]

        async def call(*arguments: Any, **options: Any) -> Any:
            self._stage.calls.append(Noted(name, arguments, options))
            if name not in self._stage.answers:
                raise AssertionError(f"{name} was called")
            answer = self._stage.answers[name]
            if isinstance(answer, BaseException):
                raise answer
            return answer(*arguments, **options) if callable(answer) else answer

        return call


@dataclass
class Stage:
    """``answers`` by ``service.method``: a value, an exception, or a function of the
    arguments. ``facts``: attributes and synchronous methods. ``has_stand_ins``: some
    answer is not what the service would say, so the route's description cannot hold."""

    answers: dict[str, Any] = field(default_factory=dict)
    facts: dict[str, Any] = field(default_factory=dict)
    calls: list[Noted] = field(default_factory=list)
    limits: RequestLimits = LIMITS
    is_connected: bool = True
    has_stand_ins: bool = False

    def __post_init__(self) -> None:
        self.facts.setdefault("workers.stale_after", 60 * MICROS)
        self.facts.setdefault("workers.status", lambda worker: worker.status)
        self.facts.setdefault("external_payloads.is_unused", lambda namespace: True)
        self.facts.setdefault("search_attributes.known_types", _nothing_defined)

    @property
    def services(self) -> Services:
        names = {each.name for each in fields(Services)} - NO_SERVICES
        return Services(
            **{name: cast(Any, _Service(name, self)) for name in names},
            limits=self.limits,
            now=lambda: NOW,
            next_id=lambda: "01jzmade00000000000000000a",
        )

    @property
    def called(self) -> list[str]:
        return [noted.name for noted in self.calls]

    async def ask(
        self,
        handler: Callable[[Services, Call], Any],
        *,
        body: Any = None,
        params: Mapping[str, str] | None = None,
        query: Mapping[str, str] | None = None,
        version: WorkerVersion | None = None,
    ) -> Answer:
        call = Call(
            cast(Request, _Request(self)),
            handler.__name__,
            params or {},
            query or {},
            {} if body is None else body,
            ANONYMOUS,
            NAMESPACE,
            "request-1",
            version or WorkerVersion(1, 20),
        )
        plane = _plane(handler)
        try:
            reply = await handler(self.services, call)
        except Refusal as refusal:
            body = orjson.loads(orjson.dumps(body_of(refusal, plane)))
            answer = Answer(refusal.status, body)
        else:
            raw = reply.body
            text = raw if isinstance(raw, bytes) else orjson.dumps(raw)
            answer = Answer(reply.status, orjson.loads(text), reply)
        if self.has_stand_ins:
            return answer
        problems = undocumented(
            handler,
            params or {},
            status=answer.status,
            body=answer.body,
            reply=answer.reply,
        )
        assert not problems, "\n".join(problems)
        return answer


async def _nothing_defined(_namespace: str) -> dict[str, str]:
    return {}


def _plane(handler: Callable[[Services, Call], Any]) -> Plane:
    is_worker = ".worker." in handler.__module__
    return Plane.WORKER if is_worker else Plane.CONTROL


class _Channel:
    def __init__(self, stage: Stage) -> None:
        self._stage = stage

    @property
    def is_open(self) -> bool:
        return self._stage.is_connected


class _Request:
    """As much of a request as a handler looks at."""

    method = "POST"
    path = "/api/somewhere"
    remote = "127.0.0.1"
    headers: Mapping[str, str] = {}

    def __init__(self, stage: Stage) -> None:
        self.channel = _Channel(stage)


# recordings --------------------------------------------------------------------------


@dataclass(frozen=True)
class Recording:
    """A request to the reference server and its answer. ``answer`` of a validation
    error lists the fields; others hold ``<id>``, ``<micros>``, ``<offset>`` and
    ``<text>`` where the value means nothing."""

    name: str
    method: str
    path: str
    body: Any
    status: int
    answer: dict[str, Any]


def recordings(folder: str, name: str) -> list[Recording]:
    path = Path(__file__).parent / folder / "fixtures" / f"{name}.json"
    return [Recording(**row) for row in orjson.loads(path.read_bytes())]


class Handlers:
    """Finds the handler of a recorded request in the routes of some modules."""

    def __init__(self, *tables: Iterable[Route]) -> None:
        self._routes = [route for table in tables for route in table]

    def find(self, recording: Recording) -> tuple[Route, dict[str, str]]:
        segments = recording.path.split("?")[0].split("/")
        found = [
            (route, params)
            for route in self._routes
            if route.method.value == recording.method
            and (params := _params(route.path.split("/"), segments)) is not None
        ]
        # A literal segment wins over a parameter.
        return min(found, key=lambda match: len(match[1]))


def _params(pattern: list[str], segments: list[str]) -> dict[str, str] | None:
    if len(pattern) != len(segments):
        return None
    params = {}
    for expected, segment in zip(pattern, segments, strict=True):
        if expected.startswith("{"):
            params[expected[1:-1]] = segment
        elif expected != segment:
            return None
    return params


def masked(value: Any) -> Any:
    """An answer of ours with the same masks as the recordings."""
    if isinstance(value, dict):
        return {key: masked(item) for key, item in value.items()}
    if isinstance(value, list):
        return [masked(item) for item in value]
    if not isinstance(value, str):
        return value
    if len(value) == 26 and value.isalnum():
        return "<id>"
    if value.startswith("20") and value[10:11] == "T":
        return "<micros>" if value.endswith("Z") else "<offset>"
    return "<text>" if " " in value else value

"""A request that passed the checks, and the reply of its handler."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field

from dwserver.engine.records import quick_init
from dwserver.http.attribution import NO_GATEWAY, Attribution
from dwserver.http.auth.principal import Principal
from dwserver.http.origin import Origin
from dwserver.http.request import Request
from dwserver.protocol.json_types import JsonObject, JsonValue
from dwserver.protocol.versions import WorkerVersion


@quick_init
@dataclass(frozen=True, slots=True)
class Call:
    """What a handler gets. ``operation`` is the route's operation name; ``params``
    are the decoded path parameters by their names in the route's path; ``body`` is
    the parsed JSON, ``{}`` when there was none; ``namespace`` exists unless the
    route is exempt; ``worker_version`` is what the caller speaks (worker plane
    only); ``attribution`` says who gave a command; ``origin`` where the request
    came from before another node passed it on. Of a repeated query word the last one
    counts."""

    request: Request
    operation: str
    params: Mapping[str, str]
    query: Mapping[str, str]
    body: JsonValue
    principal: Principal
    namespace: str
    request_id: str
    worker_version: WorkerVersion | None = None
    attribution: Attribution = NO_GATEWAY
    origin: Origin | None = None

    def context(
        self,
        command: str,
        metadata: Mapping[str, JsonValue],
        *,
        workflow_id: str | None = None,
    ) -> JsonObject:
        """What is stored with ``command``: who gave it, from where."""
        return self.attribution.context(
            self, command, metadata, workflow_id=workflow_id
        )

    def is_connected(self) -> bool:
        """The client can still be answered."""
        return self.request.channel.is_open


@quick_init
@dataclass(frozen=True, slots=True)
class Reply:
    """What a handler answers: the members of the body, before the plane's envelope.

    ``body`` is an object, or its JSON text as bytes (an object, not empty) when it
    was joined from stored fragments. A bytes body of a workflow operation repeats
    in ``projected`` the members that its ``control_plane`` object may show.
    ``on_undelivered`` is awaited when the response cannot be written: what the
    answer handed out goes back.
    """

    status: int
    body: JsonObject | bytes
    headers: Mapping[str, str] = field(default_factory=dict)
    projected: Mapping[str, JsonValue] = field(default_factory=dict)
    on_undelivered: Callable[[], Awaitable[None]] | None = None


class Refusal(Exception):
    """Raised by a handler to answer an error in the envelope of its plane.

    ``fields`` are further members of the body; ``headers`` of the response can be
    set on the exception.
    """

    def __init__(
        self, status: int, reason: str, message: str, /, **fields: JsonValue
    ) -> None:
        super().__init__(message)
        self.status = status
        self.reason = reason
        self.message = message
        self.fields = fields
        self.headers: Mapping[str, str] = {}

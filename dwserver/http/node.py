"""What the request pipeline is told about its process and its surroundings."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Protocol

from dwserver.http.attribution import NO_GATEWAY, Attribution
from dwserver.protocol.capabilities import WorkingFeatures
from dwserver.protocol.versions import WorkerVersion
from dwserver.topology.identity import NodeIdentity


@dataclass(frozen=True, slots=True, kw_only=True)
class NodeFacts:
    """What every answer of this node depends on. ``backend_driver`` names the
    database in answers about its troubles; sizes in bytes. ``max_bundle_bytes``: of the
    bodies of routes that take history bundles."""

    identity: NodeIdentity
    features: WorkingFeatures
    advertised_version: WorkerVersion
    default_namespace: str
    max_body_bytes: int
    max_bundle_bytes: int
    backend_driver: str
    attribution: Attribution = NO_GATEWAY


@dataclass(frozen=True, slots=True, kw_only=True)
class BackendFailures:
    """Exceptions of the store and the services that mean: try again later."""

    unavailable: tuple[type[Exception], ...]
    contended: tuple[type[Exception], ...]


class BootstrapGate(Protocol):
    """Whether the database is ready for workflow traffic."""

    @property
    def is_open(self) -> bool:
        """What was last known; costs nothing."""
        ...

    async def blockers(self) -> tuple[str, ...]:
        """Names of the readiness checks that block, looked at anew if need be."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Backend:
    """What stands behind the handlers. ``namespace_exists`` is asked for nearly every
    request and should remember what it found."""

    bootstrap: BootstrapGate
    namespace_exists: Callable[[str], Awaitable[bool]]
    failures: BackendFailures

"""What a role adds to the process that hosts it.

Each role has a file of this package with one :class:`RolePlug`: which route families it
mounts, what it runs, what it requires. ``roles/table.py`` lists them; a process is the
union of the plugs of its class (``roles/compose.py``).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum

from dwserver.config.settings import Settings
from dwserver.http.forwarding.forwarder import Forwarder
from dwserver.protocol.json_types import JsonObject
from dwserver.roles.core import Core
from dwserver.runtime.ids import IdSource
from dwserver.runtime.metrics import Metrics
from dwserver.runtime.service import Service
from dwserver.runtime.supervisor import Supervisor
from dwserver.topology.gate import RouteFamily
from dwserver.topology.identity import NodeIdentity
from dwserver.topology.shapes import Role

Check = Callable[[], JsonObject]
"""The present state of a part as a check of readiness: ``status`` and more. It costs
nothing and does not raise."""


class Need(StrEnum):
    """What a role cannot do without as soon as other processes host other roles."""

    SHARED_DATABASE = "shared_database"
    SHARED_COORDINATION = "shared_coordination"
    SERVER_KEY = "server_key"


@dataclass(frozen=True, slots=True, kw_only=True)
class Stage:
    """The process that a role is built into. ``forwarder``: of a process that
    passes requests on."""

    settings: Settings
    identity: NodeIdentity
    core: Core
    host: Supervisor
    metrics: Metrics
    ids: IdSource
    forwarder: Forwarder | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Parts:
    """What a role runs.

    ``background``: started when the schema is there, before the listener; two roles of
    a process may name the same service, which then runs once. ``clients``: users of a
    listener, started after it and drained before it. ``leaders``: what other processes
    can take over, started when the schema is there and drained first, so that they need
    not wait for the rest. ``checks``: by name.
    """

    background: Sequence[Service] = ()
    clients: Sequence[Service] = ()
    leaders: Sequence[Service] = ()
    checks: Mapping[str, Check] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class RolePlug:
    """``mounts``: the families that it can answer (``topology/gate.py``); others are
    refused. ``requires`` counts where the process is one of several."""

    role: Role
    mounts: tuple[RouteFamily, ...] = ()
    requires: frozenset[Need] = frozenset()
    build: Callable[[Stage], Parts] = lambda stage: Parts()

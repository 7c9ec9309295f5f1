"""The node in the table of nodes: there while it takes requests."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Callable
from urllib.parse import urlsplit

import structlog

from dwserver.config.settings import Settings
from dwserver.engine.model import JsonMap
from dwserver.roles.identity import build_version, node_identity
from dwserver.runtime.backoff import Backoff
from dwserver.runtime.clock import Clock
from dwserver.runtime.service import FailurePolicy, Loop, TaskHost
from dwserver.services.membership import Membership
from dwserver.store.api import Store, StoreError
from dwserver.topology.peers import Peer

_ANY_ADDRESS = frozenset({"0.0.0.0", "::", ""})

# Intervals that a heartbeat may take; and its least time, for a busy process.
PATIENCE = 2
MIN_PATIENCE_SECONDS = 1.0
# The others find out by themselves; a drain must not wait for a database that is gone.
FAREWELL_SECONDS = 2.0

_log = structlog.stdlib.get_logger(__name__)


def build_membership(settings: Settings, store: Store, *, clock: Clock) -> Membership:
    """A node on SQLite is alone: nobody shares its database."""
    identity = node_identity(settings)
    own = Peer(
        node_id=settings.server.server_id,
        process_class=identity.process_class,
        roles=identity.roles,
        address=own_address(settings, settings.http.port),
        version=build_version(settings),
    )
    is_alone = settings.database.sqlite_path is not None
    return Membership(
        None if is_alone else store,
        own,
        shape=identity.shape,
        started_at=clock.now(),
        heartbeat_seconds=settings.topology.heartbeat_seconds,
    )


def own_address(settings: Settings, port: int) -> str:
    """Under which the other nodes reach the listener on ``port``. A configured address
    is taken as it is, except that a port of this process alone goes before its port."""
    configured = settings.topology.internal_address
    if configured is not None:
        if settings.http.internal_port is None:
            return configured.rstrip("/")
        parts = urlsplit(configured)
        return f"{parts.scheme}://{_literal(parts.hostname or '')}:{port}"
    host = settings.http.host
    if host in _ANY_ADDRESS:
        host = socket.gethostname()
    return f"http://{_literal(host)}:{port}"


def _literal(host: str) -> str:
    return f"[{host}]" if ":" in host else host


class MembershipService:
    """Registers when the listener is bound, and leaves before it closes: the others
    stop sending requests while there is still somebody to answer them."""

    name = "membership"

    def __init__(
        self,
        membership: Membership,
        host: TaskHost,
        *,
        address: Callable[[], str],
        load: Callable[[], JsonMap],
    ) -> None:
        self._membership = membership
        self._address = address

        seconds = membership.heartbeat_seconds

        async def beat() -> None:
            # A connection that has died silently must not cost the next heartbeats.
            async with asyncio.timeout(max(PATIENCE * seconds, MIN_PATIENCE_SECONDS)):
                await membership.beat(load())

        self._loop = Loop(
            self.name,
            beat,
            host,
            interval_seconds=seconds,
            on_failure=FailurePolicy.RESTART,
            # A node must not miss heartbeats because it failed at one.
            backoff=Backoff(maximum_seconds=seconds),
        )

    async def start(self) -> None:
        self._membership.listen_at(self._address())
        await self._loop.start()

    async def drain(self) -> None:
        """The loop goes on: a node that finishes its requests needs the others."""
        try:
            async with asyncio.timeout(FAREWELL_SECONDS):
                await self._membership.leave()
        except (StoreError, TimeoutError) as error:
            _log.warning("farewell_failed", error=str(error) or "no answer in time")

    async def stop(self) -> None:
        await self._loop.stop()

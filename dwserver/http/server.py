"""The HTTP listener of a process, with its orderly end.

Draining (``architecture.md`` §5): not ready, a while for load balancers to notice,
no new connections, long polls let go, requests in flight finished.
"""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Final

import structlog

from dwserver.http.answer import Answer
from dwserver.http.connection import Connection
from dwserver.http.departures import Departures
from dwserver.http.listening import bound_sockets, close_after_the_last
from dwserver.http.pipeline import Pipeline
from dwserver.http.request import Request

_BACKLOG: Final = 1024
# Idle connections live longer than those of usual proxies, which must close first.
_KEEPALIVE_SECONDS: Final = 620.0
_SWEEP_SECONDS: Final = 20.0
# What a client that was accepted last of all gets for its request to arrive.
_FIRST_REQUEST_SECONDS: Final = 0.2

_log = structlog.stdlib.get_logger(__name__)


class ListenError(Exception):
    """The address cannot be bound; the text names it and the cause."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ListenerSettings:
    """Where to listen and how long to take for the end. Port 0 takes a free one;
    ``reuse_port`` lets several processes share the port. ``internal_port``: a second
    one, of this process alone. ``bundle_seconds``: how long a large body may be on its
    way, since no other is let in meanwhile."""

    host: str
    port: int
    reuse_port: bool = False
    internal_port: int | None = None
    drain_delay_seconds: float = 0.0
    shutdown_timeout_seconds: float = 30.0
    bundle_seconds: float = 60.0


class HttpServer:
    """Service that answers with a pipeline. ``begin_drain`` makes readiness false,
    ``release_polls`` makes waiting polls answer at once; both are called once.
    ``departures`` hears of every connection that is lost."""

    name = "http_server"

    def __init__(
        self,
        pipeline: Pipeline,
        settings: ListenerSettings,
        *,
        begin_drain: Callable[[], None],
        release_polls: Callable[[], None],
        departures: Departures | None = None,
    ) -> None:
        self.is_closing = False
        self.max_body_bytes = pipeline.max_body_bytes
        self._pipeline = pipeline
        self._settings = settings
        self._begin_drain = begin_drain
        self._release_polls = release_polls
        self._departures = departures or Departures()
        self._listeners: list[asyncio.Server] = []
        self._sockets: list[socket.socket] = []
        # Bound ports: of all processes that share it, and of this one alone.
        self._ports: list[int] = []
        self._sweep: asyncio.TimerHandle | None = None
        self._is_draining = False
        self._connections: set[Connection] = set()
        # Those with a request that is not answered yet.
        self._busy: set[Connection] = set()
        # The one whose request has a large body, until it is answered.
        self._with_bundle: Connection | None = None
        self._bundle_timer: asyncio.TimerHandle | None = None
        self._is_idle = asyncio.Event()
        self._is_idle.set()

    @property
    def port(self) -> int:
        """The bound port once started, else the wanted one."""
        return self._ports[0] if self._ports else self._settings.port

    @property
    def internal_port(self) -> int:
        """Where the other nodes reach this process."""
        if self._ports:
            return self._ports[-1]
        internal = self._settings.internal_port
        return self._settings.port if internal is None else internal

    @property
    def requests_in_flight(self) -> int:
        """Requests that are not answered yet, waiting polls included."""
        return len(self._busy)

    async def start(self) -> None:
        """Bind and listen; :class:`ListenError` when the address is not free."""
        if self._listeners:
            return
        settings = self._settings
        await self._listen(settings.port, reuse_port=settings.reuse_port)
        if settings.internal_port is not None:
            await self._listen(settings.internal_port)
        self._close_silent()
        _log.info(
            "http_listening",
            host=settings.host,
            port=self.port,
            internal_port=self.internal_port,
        )

    async def _listen(self, port: int, *, reuse_port: bool = False) -> None:
        host = self._settings.host
        try:
            sockets = await bound_sockets(host, port, reuse_port=reuse_port)
            self._sockets += sockets
            for bound in sockets:
                listener = await asyncio.get_running_loop().create_server(
                    self._connection, sock=bound, backlog=_BACKLOG
                )
                self._listeners.append(listener)
        except OSError as error:
            await self.stop()
            cause = error.strerror or str(error)
            raise ListenError(f"cannot listen on {host}:{port}: {cause}") from error
        self._ports.append(int(sockets[0].getsockname()[1]))

    def _connection(self) -> Connection:
        return Connection(self)

    async def drain(self) -> None:
        """Return when the last request that was accepted has been answered."""
        if self._is_draining or not self._listeners:
            return
        self._is_draining = True
        self._begin_drain()
        await asyncio.sleep(self._settings.drain_delay_seconds)
        await self._stop_listening()
        # Requests that have arrived become busy before the idle ones are closed.
        await asyncio.sleep(0)
        # A busy one closes with its answer; closed now, it would lose the rest of a
        # body that is still on its way.
        self.is_closing = True
        for connection in self._connections - self._busy:
            connection.close()
        self._release_polls()
        await self._is_idle.wait()

    async def _stop_listening(self) -> None:
        """Take no more connections than those that have been made."""
        kept = [bound.dup() for bound in self._sockets]
        for listener in self._listeners:
            listener.close()
        loop = asyncio.get_running_loop()
        late = [client for each in kept for client in close_after_the_last(each)]
        for client in late:
            await loop.connect_accepted_socket(self._connection, client)
        if late:
            await asyncio.sleep(_FIRST_REQUEST_SECONDS)

    async def stop(self) -> None:
        """Close the listener and, after the time limit, what is still open."""
        listeners, self._listeners = self._listeners, []
        self._ports = []
        for listener in listeners:
            listener.close()
        for bound in self._sockets:
            bound.close()
        self._sockets.clear()
        if self._sweep is not None:
            self._sweep.cancel()
        self.is_closing = True
        for connection in self._connections - self._busy:
            connection.close()
        try:
            async with asyncio.timeout(self._settings.shutdown_timeout_seconds):
                await self._is_idle.wait()
        except TimeoutError:
            open_ones = tuple(self._connections)
            await asyncio.gather(*(each.cancel() for each in open_ones))

    def _close_silent(self) -> None:
        """Close the connections that nobody has used for long."""
        loop = asyncio.get_running_loop()
        oldest = loop.time() - _KEEPALIVE_SECONDS
        for connection in self._connections - self._busy:
            if connection.idle_since < oldest:
                connection.close()
        self._sweep = loop.call_later(_SWEEP_SECONDS, self._close_silent)

    # what connections tell --------------------------------------------------------
    def handle(self, request: Request) -> Awaitable[Answer]:
        return self._pipeline.handle(request)

    def opened(self, connection: Connection) -> None:
        self._connections.add(connection)

    def lost(self, connection: Connection) -> None:
        self._connections.discard(connection)
        self._departures.gone(connection)

    def busy(self, connection: Connection) -> None:
        self._busy.add(connection)
        self._is_idle.clear()

    def admits_bundle(
        self, connection: Connection, request: Request, size: int
    ) -> bool:
        limit = self._pipeline.bundle_limit(request)
        if limit is None or size > limit:
            return False
        if self._with_bundle is None:
            self._with_bundle = connection
            # Nobody knows yet who sends it: nor may anybody keep others out.
            self._bundle_timer = asyncio.get_running_loop().call_later(
                self._settings.bundle_seconds, connection.abandon, request
            )
        request.is_crowded_out = self._with_bundle is not connection
        return not request.is_crowded_out

    def idle(self, connection: Connection) -> None:
        if self._with_bundle is connection:
            self._with_bundle = None
            if self._bundle_timer is not None:
                self._bundle_timer.cancel()
        self._busy.discard(connection)
        if not self._busy:
            self._is_idle.set()

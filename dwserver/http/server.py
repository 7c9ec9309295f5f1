"""The HTTP listener of a process, with its orderly end.

Draining (``architecture.md`` §5): not ready, a while for load balancers to notice,
no new connections, long polls let go, requests in flight finished.
"""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

import structlog
from aiohttp import web
from aiohttp.abc import AbstractStreamWriter

from dwserver.http.answer import Answer
from dwserver.http.body import ClientGone
from dwserver.http.connection import Connection
from dwserver.http.departures import Departures
from dwserver.http.listening import bound_sockets, close_after_the_last
from dwserver.http.pipeline import Pipeline

_BACKLOG: Final = 1024
# Idle connections live longer than those of usual proxies, which must close first.
_KEEPALIVE_SECONDS: Final = 620.0
# By custom; nobody gets to see it.
_CLIENT_CLOSED_REQUEST: Final = 499
# What a client that was accepted last of all gets for its request to arrive.
_FIRST_REQUEST_SECONDS: Final = 0.2

_log = structlog.stdlib.get_logger(__name__)


class ListenError(Exception):
    """The address cannot be bound; the text names it and the cause."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ListenerSettings:
    """Where to listen and how long to take for the end. Port 0 takes a free one;
    ``reuse_port`` lets several processes share the port. ``internal_port``: a second
    one, of this process alone."""

    host: str
    port: int
    reuse_port: bool = False
    internal_port: int | None = None
    drain_delay_seconds: float = 0.0
    shutdown_timeout_seconds: float = 30.0


class _Listener(web.Server):
    """Tells of clients that have gone, whatever their handlers do."""

    departures: Departures

    def __call__(self) -> web.RequestHandler:
        return Connection(self, loop=self._loop, **self._kwargs)

    def connection_lost(
        self, handler: web.RequestHandler, exc: BaseException | None = None
    ) -> None:
        super().connection_lost(handler, exc)
        self.departures.gone(handler)


class _NoAnswer(Answer):
    """For a client that has gone: the HTTP library closes the connection and takes it
    for no fault of ours."""

    def __init__(self) -> None:
        super().__init__(_CLIENT_CLOSED_REQUEST, b"", b"")

    async def prepare(self, request: web.BaseRequest) -> AbstractStreamWriter | None:
        raise ClientGone


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
        self._departures = departures or Departures()
        self._pipeline = pipeline
        self._settings = settings
        self._begin_drain = begin_drain
        self._release_polls = release_polls
        self._server: _Listener | None = None
        self._runner: web.ServerRunner | None = None
        self._sockets: list[socket.socket] = []
        self._is_draining = False
        self._is_closing = False
        # Connections with a request that is not answered yet.
        self._busy: set[web.RequestHandler] = set()
        self._is_idle = asyncio.Event()
        self._is_idle.set()

    @property
    def port(self) -> int:
        """The bound port once started, else the wanted one."""
        if self._runner is None or not self._runner.addresses:
            return self._settings.port
        return int(self._runner.addresses[0][1])

    @property
    def internal_port(self) -> int:
        """Where the other nodes reach this process."""
        if self._runner is None or not self._runner.addresses:
            internal = self._settings.internal_port
            return self._settings.port if internal is None else internal
        # The last site that was added.
        return int(self._runner.addresses[-1][1])

    @property
    def requests_in_flight(self) -> int:
        """Requests that are not answered yet, waiting polls included."""
        return len(self._busy)

    async def start(self) -> None:
        """Bind and listen; :class:`ListenError` when the address is not free."""
        if self._runner is not None:
            return
        self._server = _Listener(
            self._handle,
            access_log=None,
            keepalive_timeout=_KEEPALIVE_SECONDS,
            # Bodies are taken as they are: a small one must not grow in memory.
            auto_decompress=False,
        )
        self._server.departures = self._departures
        self._runner = web.ServerRunner(
            self._server,
            handle_signals=False,
            shutdown_timeout=self._settings.shutdown_timeout_seconds,
        )
        await self._runner.setup()
        settings = self._settings
        await self._listen(settings.port, reuse_port=settings.reuse_port)
        if settings.internal_port is not None:
            await self._listen(settings.internal_port)
        _log.info(
            "http_listening",
            host=settings.host,
            port=self.port,
            internal_port=self.internal_port,
        )

    async def _listen(self, port: int, *, reuse_port: bool = False) -> None:
        assert self._runner is not None
        host = self._settings.host
        try:
            for bound in await bound_sockets(host, port, reuse_port=reuse_port):
                self._sockets.append(bound)
                await web.SockSite(self._runner, bound, backlog=_BACKLOG).start()
        except OSError as error:
            await self.stop()
            cause = error.strerror or str(error)
            raise ListenError(f"cannot listen on {host}:{port}: {cause}") from error

    async def drain(self) -> None:
        """Return when the last request that was accepted has been answered."""
        if self._is_draining or self._runner is None or self._server is None:
            return
        self._is_draining = True
        self._begin_drain()
        await asyncio.sleep(self._settings.drain_delay_seconds)
        await self._stop_listening(self._runner, self._server)
        # Requests that have arrived become busy before the idle ones are closed.
        await asyncio.sleep(0)
        # A busy one closes with its answer; closed now, it would lose the rest of a
        # body that is still on its way.
        self._is_closing = True
        for connection in self._server.connections:
            if connection not in self._busy:
                connection.force_close()
        self._release_polls()
        await self._is_idle.wait()

    async def _stop_listening(
        self, runner: web.ServerRunner, server: _Listener
    ) -> None:
        """Take no more connections than those that have been made."""
        kept = [bound.dup() for bound in self._sockets]
        for site in runner.sites:
            await site.stop()
        loop = asyncio.get_running_loop()
        late = [client for each in kept for client in close_after_the_last(each)]
        for client in late:
            await loop.connect_accepted_socket(server, client)
        if late:
            await asyncio.sleep(_FIRST_REQUEST_SECONDS)

    async def stop(self) -> None:
        """Close the listener and, after the time limit, what is still open."""
        runner, self._runner = self._runner, None
        self._server = None
        if runner is not None:
            await runner.cleanup()
        for bound in self._sockets:
            bound.close()
        self._sockets.clear()

    async def _handle(self, request: web.BaseRequest) -> Answer:
        connection = request.protocol
        self._busy.add(connection)
        self._is_idle.clear()
        try:
            response = await self._pipeline.handle(request)
        except ClientGone:
            response = _NoAnswer()
        else:
            if self._is_closing:
                response.force_close()
        finally:
            self._busy.discard(connection)
            if not self._busy:
                self._is_idle.set()
        return response

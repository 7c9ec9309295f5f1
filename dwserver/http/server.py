"""The HTTP listener of a process, with its orderly end.

Draining (``architecture.md`` §5): not ready, a while for load balancers to notice,
no new connections, long polls let go, requests in flight finished.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

import structlog
from aiohttp import web

from dwserver.http.answer import Answer
from dwserver.http.pipeline import Pipeline

_BACKLOG: Final = 1024
# Idle connections live longer than those of usual proxies, which must close first.
_KEEPALIVE_SECONDS: Final = 620.0

_log = structlog.stdlib.get_logger(__name__)


class ListenError(Exception):
    """The address cannot be bound; the text names it and the cause."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ListenerSettings:
    """Where to listen and how long to take for the end. Port 0 takes a free one;
    ``reuse_port`` lets several processes share the port."""

    host: str
    port: int
    reuse_port: bool = False
    drain_delay_seconds: float = 0.0
    shutdown_timeout_seconds: float = 30.0


class HttpServer:
    """Service that answers with a pipeline. ``begin_drain`` makes readiness false,
    ``release_polls`` makes waiting polls answer at once; both are called once."""

    name = "http_server"

    def __init__(
        self,
        pipeline: Pipeline,
        settings: ListenerSettings,
        *,
        begin_drain: Callable[[], None],
        release_polls: Callable[[], None],
    ) -> None:
        self._pipeline = pipeline
        self._settings = settings
        self._begin_drain = begin_drain
        self._release_polls = release_polls
        self._server: web.Server | None = None
        self._runner: web.ServerRunner | None = None
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
    def requests_in_flight(self) -> int:
        """Requests that are not answered yet, waiting polls included."""
        return len(self._busy)

    async def start(self) -> None:
        """Bind and listen; :class:`ListenError` when the address is not free."""
        if self._runner is not None:
            return
        self._server = web.Server(
            self._handle,
            access_log=None,
            keepalive_timeout=_KEEPALIVE_SECONDS,
            # Bodies are taken as they are: a small one must not grow in memory.
            auto_decompress=False,
        )
        self._runner = web.ServerRunner(
            self._server,
            handle_signals=False,
            shutdown_timeout=self._settings.shutdown_timeout_seconds,
        )
        await self._runner.setup()
        try:
            await web.TCPSite(
                self._runner,
                self._settings.host,
                self._settings.port,
                backlog=_BACKLOG,
                reuse_port=self._settings.reuse_port or None,
            ).start()
        except OSError as error:
            await self.stop()
            where = f"{self._settings.host}:{self._settings.port}"
            cause = error.strerror or str(error)
            raise ListenError(f"cannot listen on {where}: {cause}") from error
        _log.info("http_listening", host=self._settings.host, port=self.port)

    async def drain(self) -> None:
        """Return when the last request that was accepted has been answered."""
        if self._is_draining or self._runner is None or self._server is None:
            return
        self._is_draining = True
        self._begin_drain()
        await asyncio.sleep(self._settings.drain_delay_seconds)
        for site in self._runner.sites:
            await site.stop()
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

    async def stop(self) -> None:
        """Close the listener and, after the time limit, what is still open."""
        runner, self._runner = self._runner, None
        self._server = None
        if runner is not None:
            await runner.cleanup()

    async def _handle(self, request: web.BaseRequest) -> Answer:
        connection = request.protocol
        self._busy.add(connection)
        self._is_idle.clear()
        try:
            response = await self._pipeline.handle(request)
            if self._is_closing:
                response.force_close()
            return response
        finally:
            self._busy.discard(connection)
            if not self._busy:
                self._is_idle.set()

"""Prometheus listener: GET /metrics on a port of its own, without authentication."""

from __future__ import annotations

from aiohttp import web
from prometheus_client import CONTENT_TYPE_LATEST

from dwserver.runtime.metrics import Metrics


class MetricsServer:
    """Service that answers /metrics; `port` 0 takes a free one.

    `start` raises OSError when the address is taken. It keeps answering while the
    process drains.
    """

    name = "metrics_server"

    def __init__(self, metrics: Metrics, host: str, port: int) -> None:
        self._metrics = metrics
        self._host = host
        self._port = port
        self._runner: web.AppRunner | None = None

    @property
    def port(self) -> int:
        """The bound port once started, else the wanted one."""
        if self._runner is None or not self._runner.addresses:
            return self._port
        return int(self._runner.addresses[0][1])

    async def start(self) -> None:
        """Bind and listen."""
        if self._runner is not None:
            return
        application = web.Application()
        application.router.add_get("/metrics", self._answer)
        self._runner = web.AppRunner(
            application, access_log=None, handle_signals=False, shutdown_timeout=1
        )
        await self._runner.setup()
        await web.TCPSite(self._runner, self._host, self._port).start()

    async def drain(self) -> None:
        """Nothing is held: a scrape takes milliseconds."""

    async def stop(self) -> None:
        """Close the listener."""
        runner, self._runner = self._runner, None
        if runner is not None:
            await runner.cleanup()

    async def _answer(self, _request: web.Request) -> web.Response:
        return web.Response(
            body=self._metrics.exposition(),
            headers={"Content-Type": CONTENT_TYPE_LATEST},
        )

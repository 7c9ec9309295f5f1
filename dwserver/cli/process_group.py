"""Several nodes of one class on one port, each a process of its own.

The supervising process runs no node. It reserves the port, starts the nodes, starts
those again that die, and passes on the wish to end.
"""

from __future__ import annotations

import asyncio
import signal
import socket
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager

import structlog

from dwserver.cli.supervised import READY
from dwserver.config.settings import Settings
from dwserver.roles.errors import BootError
from dwserver.runtime.backoff import Backoff
from dwserver.runtime.logging import LogFormat, configure_logging
from dwserver.runtime.service import wait_event
from dwserver.runtime.signals import ShutdownSignals, exit_at_once

# A node that ran for so long failed for a new reason.
SETTLED_SECONDS = 60.0

_log = structlog.stdlib.get_logger(__name__)


class NodeProcess:
    """One node: started, and started again whenever it dies."""

    def __init__(self, number: int, environ: Mapping[str, str]) -> None:
        self._number = number
        self._environ = environ
        self._process: asyncio.subprocess.Process | None = None
        self._link: socket.socket | None = None
        self._stopping = asyncio.Event()

    async def start(self) -> bool:
        """Whether it became ready; False when it ended before."""
        ours, theirs = socket.socketpair()
        with theirs:
            self._process = await asyncio.create_subprocess_exec(
                sys.executable,
                "-m",
                "dwserver",
                "serve",
                "--supervisor-fd",
                str(theirs.fileno()),
                env=self._environ,
                pass_fds=(theirs.fileno(),),
                # The terminal's Ctrl-C is for the supervisor.
                start_new_session=True,
            )
        if self._stopping.is_set():
            self._signal(signal.SIGTERM)
        if self._link is not None:
            self._link.close()
        self._link = ours
        ours.setblocking(False)
        answer = await asyncio.get_running_loop().sock_recv(ours, len(READY))
        return answer == READY

    async def keep_running(self) -> None:
        """Return when it has ended because it was told to."""
        stopping = self._stopping
        loop, backoff, failures = asyncio.get_running_loop(), Backoff(), 0
        while True:
            began = loop.time()
            status = await self.wait()
            if stopping.is_set():
                return
            failures = 1 if loop.time() - began > SETTLED_SECONDS else failures + 1
            delay = backoff.delay_seconds(failures)
            _log.error(
                "node_died",
                process=self._number,
                status=status,
                restart_in_seconds=round(delay, 3),
            )
            await wait_event(stopping, delay)
            if stopping.is_set():
                return
            await self.start()

    async def wait(self) -> int:
        assert self._process is not None
        return await self._process.wait()

    def stop(self) -> None:
        """Tell it to drain and end."""
        self._stopping.set()
        self._signal(signal.SIGTERM)

    def kill(self) -> None:
        self._signal(signal.SIGKILL)

    def _signal(self, number: signal.Signals) -> None:
        if self._process is not None and self._process.returncode is None:
            self._process.send_signal(number)


def supervise(settings: Settings, environ: Mapping[str, str], *, count: int) -> None:
    """Run ``count`` nodes until a signal. SystemExit when the first one cannot boot:
    it has said why."""
    if settings.database.sqlite_path is not None:
        raise BootError(
            "several processes cannot share an SQLite file; set "
            "DW_DATABASE_URL=postgresql://… or use --processes 1"
        )
    configure_logging(
        level=settings.logging.level, log_format=LogFormat(settings.logging.format)
    )
    with reserved_port(settings.http.host, settings.http.port) as port:
        environments = [
            environment_of(settings, environ, number, port=port)
            for number in range(1, count + 1)
        ]
        status = asyncio.run(_run(environments))
    if status != 0:
        raise SystemExit(status)


async def _run(environments: Sequence[Mapping[str, str]]) -> int:
    nodes = [NodeProcess(n, env) for n, env in enumerate(environments, start=1)]

    def abort(number: int) -> None:
        for node in nodes:
            node.kill()
        exit_at_once(number)

    with ShutdownSignals(abort) as signals:
        asked = asyncio.create_task(signals.requested.wait())
        running = asyncio.create_task(_keep_running(nodes))
        await asyncio.wait((asked, running), return_when=asyncio.FIRST_COMPLETED)
        asked.cancel()
        for node in nodes:
            node.stop()
        return await running


async def _keep_running(nodes: Sequence[NodeProcess]) -> int:
    """The status with which the first one ended before it was ready, else 0 once all
    were told to stop. What keeps the first one from booting would keep them all."""
    if not await nodes[0].start():
        return await nodes[0].wait()
    await asyncio.gather(*(node.start() for node in nodes[1:]))
    _log.info("nodes_started", processes=len(nodes))
    await asyncio.gather(*(node.keep_running() for node in nodes))
    return 0


def environment_of(
    settings: Settings, environ: Mapping[str, str], number: int, *, port: int
) -> dict[str, str]:
    """What tells the processes apart: the id, and every port but the one they share."""
    own = {
        "DW_SERVER_ID": f"{settings.server.server_id}-{number}",
        "DW_HTTP_PORT": str(port),
        "DW_HTTP_REUSE_PORT": "1",
        "DW_INTERNAL_PORT": str(_of_number(settings.http.internal_port or 0, number)),
        "DW_METRICS_PORT": str(_of_number(settings.metrics.port, number)),
    }
    return {**environ, **own}


def _of_number(first: int, number: int) -> int:
    """Ports count upwards; 0 keeps its meaning."""
    return first + number - 1 if first else 0


@contextmanager
def reserved_port(host: str, port: int) -> Iterator[int]:
    """A port that nobody else listens on, for processes that share it; BootError."""
    try:
        family = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0][0]
        with _bound(family, host, port) as probe:
            found = int(probe.getsockname()[1])
        reserved = _bound(family, host, found, is_shared=True)
    except OSError as error:
        raise BootError(f"cannot listen on {host}:{port}: {error.strerror}") from error
    # Bound, never listening: it gets no connection.
    with reserved:
        yield found


def _bound(
    family: socket.AddressFamily, host: str, port: int, *, is_shared: bool = False
) -> socket.socket:
    """Without sharing it is refused where somebody listens."""
    bound = socket.socket(family, socket.SOCK_STREAM)
    try:
        bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if is_shared:
            bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        bound.bind((host, port))
    except OSError:
        bound.close()
        raise
    return bound

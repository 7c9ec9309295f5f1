"""Kept-alive connections to the other nodes: as many as needed, no more than allowed.

A request takes a connection for itself until its answer has been passed on, a long
poll for as long as it is held. What exceeds the limit of a node waits, in the order of
arrival, so that a slow node slows its callers down instead of filling this process.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final
from urllib.parse import urlsplit

import structlog

from dwserver.http.forwarding.breaker import Breaker
from dwserver.http.forwarding.peer_connection import AnswerLost, PeerConnection
from dwserver.topology.peers import Peer

CONNECT_SECONDS: Final = 1.0
ACQUIRE_SECONDS: Final = 5.0
"""How long a request waits for a connection when all are taken."""
ANSWER_SECONDS: Final = 90.0
"""Longer than the longest wait that a client can ask for, with what follows it."""
SILENCE_SECONDS: Final = 2.0
"""A node that has not said a word since a request this old is asked last."""
PROBE_SECONDS: Final = 4.0
"""What it then gets to answer a request that asks for nothing."""
# Shorter than the other side keeps them (``http/server.py``).
IDLE_SECONDS: Final = 60.0
DEPARTED_SECONDS: Final = 10.0
"""What a node that has left the cluster gets to finish what it was asked."""

_HTTP_PORT: Final = 80
_PROBE: Final = (
    b"OPTIONS /api/health HTTP/1.1\r\nHost: peer\r\nContent-Length: 0\r\n\r\n"
)
_log = structlog.stdlib.get_logger(__name__)


class ConnectFailed(ConnectionError):
    """The node cannot be reached; nothing was sent."""


class PeerBusy(Exception):
    """Every connection to the node is taken; nothing was sent."""


class TooManyPolls(PeerBusy):
    """Polls hold all connections that they may hold."""


class AnswerTimedOut(AnswerLost):
    """The node did not answer in time."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PoolLimits:
    """Per node. ``held``: how many of its connections long polls may hold; the others
    are left to requests that are answered soon."""

    connections: int
    held: int

    @classmethod
    def of(cls, connections: int) -> PoolLimits:
        reserved = max(connections // 8, 1)
        return cls(connections=connections, held=max(connections - reserved, 1))


class PeerPool:
    """The connections to one node. ``busy``: those with a request, and whether it is a
    long poll."""

    def __init__(
        self, peer: Peer, limits: PoolLimits, *, on_breaker_opened: Callable[[], None]
    ) -> None:
        self.peer = peer
        self.breaker = Breaker()
        self.busy: dict[PeerConnection, bool] = {}
        self.idle: list[PeerConnection] = []
        self.departed_at: float | None = None
        self.is_silent = False
        self._heard_at = 0.0
        self._probed_at: float | None = None
        self._limits = limits
        self._on_breaker_opened = on_breaker_opened
        self._held = 0
        # Connections in use or about to be, and who waits for one.
        self._taken = 0
        self._waiters: deque[asyncio.Future[None]] = deque()
        self._place = _place_of(peer.address)
        if self._place is None:
            _log.error(
                "peer_address_unusable", node_id=peer.node_id, address=peer.address
            )

    def take(self, *, is_held: bool) -> PeerConnection | None:
        """As :meth:`acquire`, but None when that had to wait for anything."""
        if self._waiters or self._taken >= self._limits.connections:
            return None
        if is_held and self._held >= self._limits.held:
            return None
        connection = self._reusable()
        if connection is not None:
            self._taken += 1
            self._held += is_held
            self.busy[connection] = is_held
            if not self.breaker.is_closed:
                self.breaker.connected()
        return connection

    async def acquire(self, *, is_held: bool) -> PeerConnection:
        """A connection that is this caller's until :meth:`release`. ``is_held``: for a
        long poll. :class:`ConnectFailed`, :class:`PeerBusy`."""
        # Counted before anything is awaited: the limit holds for those that wait, too.
        self._held += is_held
        try:
            if self._held > self._limits.held:
                raise TooManyPolls(self.peer.node_id)
            await self._enter()
            try:
                connection = self._reusable() or await self._connect()
            except BaseException:
                self._leave()
                raise
        except OSError as error:
            self._held -= is_held
            self.failed(error)
            raise ConnectFailed(str(error)) from error
        except BaseException:
            self._held -= is_held
            self.breaker.gave_up()
            raise
        self.breaker.connected()
        self.busy[connection] = is_held
        return connection

    def release(self, connection: PeerConnection) -> None:
        """The answer has been read to the end, or the connection is of no more use."""
        self._held -= self.busy.pop(connection)
        if connection.is_usable and self.departed_at is None:
            connection.idle_since = asyncio.get_running_loop().time()
            self.idle.append(connection)
        else:
            connection.close()
        self._leave()

    def heard(self, now: float) -> None:
        """The node has answered."""
        self._heard_at = now
        self.is_silent = False
        if self.breaker.is_troubled:
            self.breaker.succeeded()

    def failed(self, error: Exception) -> None:
        """The node could not be reached, or broke off."""
        if self.breaker.failed(asyncio.get_running_loop().time()):
            self._log_unreachable(error)
            self._on_breaker_opened()

    def _log_unreachable(self, error: Exception) -> None:
        text = str(error) or "no answer"
        _log.warning("peer_unreachable", node_id=self.peer.node_id, error=text)

    def needs_probe(self, now: float) -> bool:
        """Whether something waits for an answer of the node, which has given none for
        some time: a poll that is held does not tell a node that is idle from one that
        is out of reach. One that fell silent is asked until it speaks."""
        if self._probed_at is not None or self.departed_at is not None:
            return False
        if self.breaker.awaits_answer:
            return True
        since = now - SILENCE_SECONDS
        return self._heard_at < since and any(
            connection.sent_at < since for connection in self.busy
        )

    async def probe(self) -> None:
        """Ask the node for nothing, over a connection of its own. No answer at all:
        whoever waits for one need not wait longer."""
        clock = asyncio.get_running_loop().time
        self._probed_at = clock()
        connection: PeerConnection | None = None
        try:
            async with asyncio.timeout(PROBE_SECONDS):
                connection = await self._connect()
                await connection.send(_PROBE)
        except OSError as error:
            if self._heard_at < self._probed_at:
                self._fell_silent(error)
        else:
            self.heard(clock())
        finally:
            self._probed_at = None
            if connection is not None:
                connection.close()

    def _fell_silent(self, error: Exception) -> None:
        """Its heartbeats may go on: the membership, which would take the next one for
        a sign that it is back, is not told."""
        self.abort(AnswerLost("the node does not answer"))
        if self.breaker.fell_silent(asyncio.get_running_loop().time()):
            self._log_unreachable(error)

    def tidy(self, now: float) -> None:
        """End what has taken too long and what nobody has used for long."""
        for connection in [each for each in self.busy if now >= each.deadline]:
            connection.abort(AnswerTimedOut("no answer in time"))
        self.is_silent = any(
            not is_held
            and connection.sent_at > self._heard_at
            and now - connection.sent_at > SILENCE_SECONDS
            for connection, is_held in self.busy.items()
        ) or (self._probed_at is not None and now - self._probed_at > SILENCE_SECONDS)
        departed_at = self.departed_at
        if departed_at is None:
            self._close_idle(now - IDLE_SECONDS)
            return
        self._close_idle(now)
        if self.is_silent or now - departed_at > DEPARTED_SECONDS:
            self.abort(AnswerLost("the node has left the cluster"))

    def abort(self, error: Exception) -> None:
        """Cut every connection."""
        for connection in tuple(self.busy):
            connection.abort(error)
        for connection in self.idle:
            connection.close()
        self.idle.clear()

    async def _enter(self) -> None:
        """Wait until one connection more is allowed."""
        if not self._waiters and self._taken < self._limits.connections:
            self._taken += 1
            return
        if len(self._waiters) >= self._limits.connections:
            raise PeerBusy(self.peer.node_id)
        waiter = asyncio.get_running_loop().create_future()
        self._waiters.append(waiter)
        try:
            async with asyncio.timeout(ACQUIRE_SECONDS):
                await waiter
        except BaseException as error:
            if waiter.done() and not waiter.cancelled():
                # It was its turn already.
                self._leave()
            elif waiter in self._waiters:
                self._waiters.remove(waiter)
            if isinstance(error, TimeoutError):
                raise PeerBusy(self.peer.node_id) from None
            raise

    def _leave(self) -> None:
        """Whoever has waited longest takes the place over."""
        while self._waiters:
            waiter = self._waiters.popleft()
            if not waiter.done():
                waiter.set_result(None)
                return
        self._taken -= 1

    def _reusable(self) -> PeerConnection | None:
        # The one that was used last: the others may grow old and be closed.
        while self.idle:
            connection = self.idle.pop()
            if connection.is_usable:
                return connection
        return None

    async def _connect(self) -> PeerConnection:
        if self._place is None:
            raise OSError(f"{self.peer.address} is no address of a node")
        loop = asyncio.get_running_loop()
        async with asyncio.timeout(CONNECT_SECONDS):
            _, connection = await loop.create_connection(PeerConnection, *self._place)
        return connection

    def _close_idle(self, since: float) -> None:
        """The longest unused come first."""
        closed = 0
        for connection in self.idle:
            if connection.is_usable and connection.idle_since > since:
                break
            connection.close()
            closed += 1
        del self.idle[:closed]


def _place_of(address: str) -> tuple[str, int] | None:
    """Host and port; None for what is no plain HTTP address."""
    try:
        parts = urlsplit(address)
        host, port = parts.hostname, parts.port
    except ValueError:
        return None
    if parts.scheme != "http" or not host:
        return None
    return host, port or _HTTP_PORT

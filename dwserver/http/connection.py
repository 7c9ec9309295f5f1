"""A client's connection: its requests one after the other, each with one answer."""

from __future__ import annotations

import asyncio
import socket
from collections import deque
from collections.abc import Awaitable
from typing import Final, Protocol, cast

import orjson
import structlog
from aiohttp import hdrs

from dwserver.http import errors
from dwserver.http.answer import Answer
from dwserver.http.envelopes import CONTROL_LINES, JSON_LINE
from dwserver.http.request import ClientGone, Request
from dwserver.http.request_reader import Malformed, OtherProtocol, RequestReader
from dwserver.protocol.reasons import Plane

# Requests that a client sent before it was answered; then it is not read from.
_MAX_WAITING: Final = 16
# How long it is read on after the last answer, which would be lost with the rest of
# what the client sends if the connection were closed at once.
_LINGER_SECONDS: Final = 10.0

_CONTINUE: Final = b"HTTP/1.1 100 Continue\r\n\r\n"
_REFUSAL: Final = orjson.dumps(
    errors.body_of(errors.malformed_request(Plane.CONTROL), Plane.CONTROL)
)
_REFUSED: Final = (
    b"HTTP/1.1 400 Bad Request\r\n%b%bConnection: close\r\nContent-Length: %d\r\n\r\n%b"
    % (CONTROL_LINES, JSON_LINE, len(_REFUSAL), _REFUSAL)
)

_log = structlog.stdlib.get_logger(__name__)


class Listener(Protocol):
    """What a connection asks of the listener that it belongs to, and tells it."""

    max_body_bytes: int
    is_closing: bool

    def admits_bundle(
        self, connection: Connection, request: Request, size: int
    ) -> bool:
        """Whether a body of more than ``max_body_bytes`` may come in after all, of
        which there are ``size`` bytes at least; perhaps ``request`` is told why not."""
        ...

    def handle(self, request: Request) -> Awaitable[Answer]:
        """The answer, written or not; :class:`ClientGone`."""
        ...

    def opened(self, connection: Connection) -> None: ...
    def lost(self, connection: Connection) -> None: ...
    def busy(self, connection: Connection) -> None:
        """The head of a request has arrived."""
        ...

    def idle(self, connection: Connection) -> None:
        """Everything that has arrived is answered."""
        ...


class Connection(asyncio.Protocol):
    """``idle_since``: when the last answer was given (seconds of the loop's clock)."""

    __slots__ = (
        "_current",
        "_is_closing",
        "_is_paused",
        "_linger",
        "_listener",
        "_loop",
        "_reader",
        "_resumed",
        "_task",
        "_transport",
        "_waiting",
        "idle_since",
    )

    def __init__(self, listener: Listener) -> None:
        self._listener = listener
        self._loop = asyncio.get_running_loop()
        # Both are there from the first byte until the connection is lost.
        self._transport: asyncio.Transport | None = None
        self._reader: RequestReader | None = None
        # The request that is answered, and the next ones.
        self._current: Request | None = None
        self._waiting: deque[Request] = deque()
        self._task: asyncio.Task[None] | None = None
        self._linger: asyncio.TimerHandle | None = None
        self._resumed: asyncio.Future[None] | None = None
        self._is_paused = False
        self._is_closing = False
        self.idle_since = self._loop.time()

    # for the answer ---------------------------------------------------------------
    @property
    def is_open(self) -> bool:
        transport = self._transport
        return transport is not None and not transport.is_closing()

    @property
    def address(self) -> str | None:
        if self._transport is None:
            return None
        peer = self._transport.get_extra_info("peername")
        return str(peer[0]) if peer else None

    def write(self, data: bytes) -> None:
        transport = self._transport
        if transport is None or transport.is_closing():
            raise ClientGone
        transport.write(data)

    async def drained(self) -> None:
        if self._is_paused:
            self._resumed = self._loop.create_future()
            await self._resumed
        if not self.is_open:
            raise ClientGone

    # for the listener -------------------------------------------------------------
    def close(self) -> None:
        """Take no more requests; close when what was written has been sent."""
        self._is_closing = True
        self._waiting.clear()
        if self._transport is not None:
            self._transport.close()

    def abandon(self, request: Request) -> None:
        """End the connection if the rest of this request has not come yet."""
        reader, transport = self._reader, self._transport
        if reader is not None and transport is not None and reader.arriving is request:
            transport.abort()

    async def cancel(self) -> None:
        """End the handler of the request that is being answered, and close."""
        self.close()
        task = self._task
        if task is not None:
            task.cancel()
            await asyncio.wait((task,))
        if self._current is not None:
            # A task that ends before its first step has told nobody.
            self._answered(self._current, is_kept=False)

    # asyncio ----------------------------------------------------------------------
    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)
        self._reader = RequestReader(self, max_body_bytes=self._listener.max_body_bytes)
        # So that a dead client is noticed in the end, even one that only waits.
        connected = transport.get_extra_info("socket")
        connected.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
        self._listener.opened(self)

    def connection_lost(self, exc: Exception | None) -> None:
        self._is_closing = True
        if self._reader is not None:
            self._reader.stop()
        self._transport = self._reader = None
        self._waiting.clear()
        if self._linger is not None:
            self._linger.cancel()
        self.resume_writing()
        if self._current is None:
            self._listener.idle(self)
        self._listener.lost(self)

    def pause_writing(self) -> None:
        self._is_paused = True

    def resume_writing(self) -> None:
        self._is_paused = False
        if self._resumed is not None and not self._resumed.done():
            self._resumed.set_result(None)
        if self._current is None and self._waiting:
            self._begin_next()

    def data_received(self, data: bytes) -> None:
        reader = self._reader
        if reader is None or self._is_closing:
            return
        try:
            reader.feed(data)
        except OtherProtocol:
            # The request is answered as any other.
            self._end_after_last()
        except Malformed as error:
            self._refuse(error)

    # for the reader ---------------------------------------------------------------
    def admits(self, request: Request, size: int) -> bool:
        return self._listener.admits_bundle(self, request, size)

    def announced(self, request: Request) -> None:
        self._listener.busy(self)
        if hdrs.EXPECT in request.headers and not request.is_too_large:
            self._permit_body(request)

    def received(self, request: Request) -> None:
        if self._current is None and not self._is_paused:
            self._begin(request)
            return
        self._waiting.append(request)
        if len(self._waiting) == _MAX_WAITING and self._transport is not None:
            self._transport.pause_reading()

    def skipped(self) -> None:
        if self._linger is not None:
            self.close()

    # requests ---------------------------------------------------------------------
    def _permit_body(self, request: Request) -> None:
        is_first = self._current is None and not self._waiting
        if is_first and request.headers[hdrs.EXPECT].lower() == "100-continue":
            self.write(_CONTINUE)

    def _begin_next(self) -> None:
        if len(self._waiting) == _MAX_WAITING and self._transport is not None:
            self._transport.resume_reading()
        self._begin(self._waiting.popleft())

    def _begin(self, request: Request) -> None:
        self._current = request
        self._task = self._loop.create_task(self._answer(request))

    async def _answer(self, request: Request) -> None:
        listener = self._listener
        is_kept = False
        try:
            answer = await listener.handle(request)
            if listener.is_closing:
                answer.force_close()
            if not answer.is_written:
                await answer.write(request)
            is_kept = answer.is_kept
        except ClientGone:
            pass
        except Exception as error:
            _log.error("http_answer_failed", exc_info=error)
        finally:
            self._answered(request, is_kept=is_kept)

    def _answered(self, request: Request, *, is_kept: bool) -> None:
        self._current = self._task = None
        self.idle_since = self._loop.time()
        transport, reader = self._transport, self._reader
        if transport is None or reader is None:
            self._listener.idle(self)
        elif transport.is_closing():
            # Idle when it is lost.
            return
        elif reader.arriving is request and not self._is_closing:
            self._say_no_more(transport)
        elif not is_kept or self._is_closing:
            self.close()
        elif self._waiting:
            if not self._is_paused:
                self._begin_next()
        elif reader.arriving is None:
            self._listener.idle(self)

    def _refuse(self, error: Malformed) -> None:
        """The answer to the request before the bytes that are none is the last."""
        _log.debug("http_malformed", client=self.address, error=str(error))
        if self._current is not None or self._waiting:
            self._end_after_last()
        elif self._transport is not None and self.is_open:
            self.write(_REFUSED)
            self._say_no_more(self._transport)

    def _say_no_more(self, transport: asyncio.Transport) -> None:
        """Let the client close, once it has read the last answer."""
        transport.write_eof()
        self._linger = self._loop.call_later(_LINGER_SECONDS, self.close)

    def _end_after_last(self) -> None:
        last = self._waiting[-1] if self._waiting else self._current
        if last is not None:
            last.is_kept = False

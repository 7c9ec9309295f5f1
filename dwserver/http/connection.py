"""A client's connection: its requests one after the other, each with one answer.

llhttp takes the bytes apart. A request is handed on when its body is complete, so that
nobody waits for the rest of it; one whose body is too large is handed on at once, and
what still comes of it is thrown away.
"""

from __future__ import annotations

import asyncio
import socket
from collections import deque
from collections.abc import Awaitable
from typing import Final, Protocol, cast

import httptools
import orjson
import structlog
from aiohttp import hdrs

from dwserver.http import errors
from dwserver.http.answer import Answer
from dwserver.http.envelopes import CONTROL_LINES, JSON_LINE
from dwserver.http.request import ClientGone, Request
from dwserver.protocol.reasons import Plane

MAX_HEAD_BYTES: Final = 65_536
MAX_HEADERS: Final = 128
MAX_LINE_BYTES: Final = 8_190
"""Of the target, and of the value of a header."""
MAX_FRAMING_BYTES: Final = 65_536
"""What may come between two parts of a chunked body, and behind the last one."""
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
_NEWEST: Final = "1.1"

_log = structlog.stdlib.get_logger(__name__)


class BadHead(Exception):
    """A head without a host, or with two, or larger than that of any request of
    ours."""


class BadBody(Exception):
    """A chunked body with more around its parts than any client of ours sends."""


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
        "_arriving",
        "_body",
        "_current",
        "_fields",
        "_framing_bytes",
        "_head_bytes",
        "_is_closing",
        "_is_paused",
        "_linger",
        "_listener",
        "_loop",
        "_parser",
        "_resumed",
        "_target",
        "_task",
        "_transport",
        "_waiting",
        "idle_since",
    )

    def __init__(self, listener: Listener) -> None:
        self._listener = listener
        self._loop = asyncio.get_running_loop()
        self._parser: httptools.HttpRequestParser | None = None
        self._transport: asyncio.Transport | None = None
        self._target = b""
        self._fields: list[tuple[bytes, bytes]] = []
        # At most so many bytes of a head have come; None within a body.
        self._head_bytes: int | None = 0
        # What has come of the body, most often all of it at once; and how much since
        # then that is no part of it.
        self._body: bytes | bytearray = b""
        self._framing_bytes = 0
        # The request whose body is on its way, the one that is answered, the next ones.
        self._arriving: Request | None = None
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

    async def cancel(self) -> None:
        """End the handler of the request that is being answered, and close."""
        self.close()
        task = self._task
        if task is not None:
            task.cancel()
            await asyncio.wait((task,))

    # asyncio ----------------------------------------------------------------------
    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)
        self._parser = httptools.HttpRequestParser(self)
        # So that a dead client is noticed in the end, even one that only waits.
        connected = transport.get_extra_info("socket")
        connected.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
        self._listener.opened(self)

    def connection_lost(self, exc: Exception | None) -> None:
        self._is_closing = True
        self._transport = self._parser = self._arriving = None
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
        parser = self._parser
        if parser is None or self._is_closing:
            return
        if self._head_bytes is not None:
            self._head_bytes += len(data)
        else:
            self._framing_bytes += len(data)
        try:
            parser.feed_data(data)
        except httptools.HttpParserUpgrade:
            # Nothing else is spoken here. The request is answered as any other, but
            # what follows it may be in another language.
            self._parser = None
            self._end_after_last()
        except httptools.HttpParserError as error:
            self._refuse(error.__context__ or error)
        else:
            if self._framing_bytes > MAX_FRAMING_BYTES:
                self._refuse(BadBody())
            elif self._head_bytes is not None and self._head_bytes > MAX_HEAD_BYTES:
                self._refuse(BadHead())

    # llhttp -----------------------------------------------------------------------
    def on_message_begin(self) -> None:
        self._target = b""
        self._fields = []

    def on_url(self, part: bytes) -> None:
        self._target += part

    def on_header(self, name: bytes, value: bytes) -> None:
        # What follows a chunked body means nothing.
        if self._arriving is None:
            self._fields.append((name, value))

    def on_headers_complete(self) -> None:
        parser, fields = self._parser, self._fields
        assert parser is not None
        self._check_head(fields)
        self._head_bytes = None
        request = self._arriving = Request(
            self,
            str(parser.get_method(), "ascii"),
            str(self._target, "utf-8", "surrogateescape"),
            raw_headers=fields,
            is_newest=parser.get_http_version() == _NEWEST,
            is_kept=parser.should_keep_alive(),
        )
        hosts = len(request.headers.getall(hdrs.HOST, ()))
        if hosts > 1 or (request.is_newest and not hosts):
            raise BadHead
        self._listener.busy(self)
        declared = request.headers.get(hdrs.CONTENT_LENGTH)
        if declared is not None and not self._may_take(request, int(declared)):
            self._pass_on_unread(request)
        elif hdrs.EXPECT in request.headers:
            self._permit_body(request)

    def on_body(self, part: bytes) -> None:
        self._framing_bytes = 0
        request = self._arriving
        if request is None or request.is_too_large:
            return
        if not self._body:
            self._body = part
        else:
            if isinstance(self._body, bytes):
                self._body = bytearray(self._body)
            self._body += part
        if not self._may_take(request, len(self._body)):
            self._pass_on_unread(request)

    def on_message_complete(self) -> None:
        request, self._arriving = self._arriving, None
        self._head_bytes = self._framing_bytes = 0
        if request is None:
            return
        if not request.is_too_large:
            if self._body:
                request.body = bytes(self._body)
                self._body = b""
            self._pass_on(request)
        elif self._linger is not None:
            self.close()

    def _check_head(self, fields: list[tuple[bytes, bytes]]) -> None:
        if len(fields) > MAX_HEADERS:
            raise BadHead
        if (self._head_bytes or 0) <= MAX_LINE_BYTES:
            return
        # Or a body has come with it.
        sizes = [len(self._target), *(len(value) for _, value in fields)]
        names = sum(len(name) for name, _ in fields)
        if max(sizes) > MAX_LINE_BYTES or sum(sizes) + names > MAX_HEAD_BYTES:
            raise BadHead

    # requests ---------------------------------------------------------------------
    def _may_take(self, request: Request, size: int) -> bool:
        listener = self._listener
        return size <= listener.max_body_bytes or listener.admits_bundle(
            self, request, size
        )

    def _permit_body(self, request: Request) -> None:
        is_first = self._current is None and not self._waiting
        if is_first and request.headers[hdrs.EXPECT].lower() == "100-continue":
            self.write(_CONTINUE)

    def _pass_on_unread(self, request: Request) -> None:
        """Nobody knows where the next request would begin without reading all of it."""
        request.is_too_large = True
        request.is_kept = False
        self._body = b""
        self._pass_on(request)

    def _pass_on(self, request: Request) -> None:
        if self._current is None and not self._is_paused:
            self._begin(request)
            return
        self._waiting.append(request)
        if len(self._waiting) == _MAX_WAITING and self._transport is not None:
            self._transport.pause_reading()

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
        transport = self._transport
        if transport is None:
            self._listener.idle(self)
        elif transport.is_closing():
            # Idle when it is lost.
            return
        elif self._arriving is request and not self._is_closing:
            self._say_no_more(transport)
        elif not is_kept or self._is_closing:
            self.close()
        elif self._waiting:
            if not self._is_paused:
                self._begin_next()
        elif self._arriving is None:
            self._listener.idle(self)

    def _refuse(self, error: BaseException) -> None:
        """The bytes are no request; the answer to the one before them is the last."""
        _log.debug("http_malformed", client=self.address, error=type(error).__name__)
        self._parser = self._arriving = None
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

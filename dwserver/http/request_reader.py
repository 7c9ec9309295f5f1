"""Requests out of the bytes that a client sends.

llhttp takes them apart. A request is handed on when its body is complete, so that
nobody waits for the rest of it; one whose body is too large is handed on at once, and
what still comes of it is thrown away.
"""

from __future__ import annotations

from typing import Final, Protocol

import httptools
from aiohttp import hdrs

from dwserver.http.request import Channel, Request

MAX_HEAD_BYTES: Final = 65_536
MAX_HEADERS: Final = 128
MAX_LINE_BYTES: Final = 8_190
"""Of the target, and of the value of a header."""
MAX_FRAMING_BYTES: Final = 65_536
"""What may come between two parts of a chunked body, and behind the last one."""

_NEWEST: Final = "1.1"


class Malformed(Exception):
    """The bytes are no request, or larger than any of ours; the text says by which
    fault."""


class OtherProtocol(Exception):
    """What follows the last request may be in another protocol."""


class BadHead(Exception):
    """A head without a host, or with two, or larger than that of any request of
    ours."""


class BadBody(Exception):
    """A chunked body with more around its parts than any client of ours sends."""


class Receiver(Channel, Protocol):
    """Takes the requests of a connection, in the order in which they come."""

    def admits(self, request: Request, size: int) -> bool:
        """Whether a body may come in that is larger than those of other requests."""
        ...

    def announced(self, request: Request) -> None:
        """Its head has arrived."""
        ...

    def received(self, request: Request) -> None:
        """It is complete; or its body is too large, and some of it may still come."""
        ...

    def skipped(self) -> None:
        """The last of a body that is too large has come."""
        ...


class RequestReader:
    """``arriving``: the request whose body is on its way."""

    __slots__ = (
        "_body",
        "_fields",
        "_framing_bytes",
        "_head_bytes",
        "_max_body_bytes",
        "_parser",
        "_receiver",
        "_target",
        "arriving",
    )

    def __init__(self, receiver: Receiver, *, max_body_bytes: int) -> None:
        self._receiver = receiver
        self._max_body_bytes = max_body_bytes
        self._parser: httptools.HttpRequestParser | None
        self._parser = httptools.HttpRequestParser(self)
        self._target = b""
        self._fields: list[tuple[bytes, bytes]] = []
        # At most so many bytes of a head have come; None within a body.
        self._head_bytes: int | None = 0
        # What has come of the body, most often all of it at once; and how much since
        # then that is no part of it.
        self._body: bytes | bytearray = b""
        self._framing_bytes = 0
        self.arriving: Request | None = None

    def feed(self, data: bytes) -> None:
        """Take what was sent; :class:`Malformed`, :class:`OtherProtocol`, and nothing
        is read of what comes after that."""
        parser = self._parser
        if parser is None:
            return
        if self._head_bytes is not None:
            self._head_bytes += len(data)
        else:
            self._framing_bytes += len(data)
        try:
            parser.feed_data(data)
        except httptools.HttpParserUpgrade:
            self._parser = None
            raise OtherProtocol from None
        except httptools.HttpParserError as error:
            raise self._malformed(error.__context__ or error) from None
        if self._framing_bytes > MAX_FRAMING_BYTES:
            raise self._malformed(BadBody())
        if self._head_bytes is not None and self._head_bytes > MAX_HEAD_BYTES:
            raise self._malformed(BadHead())

    def stop(self) -> None:
        """Read no more; what was arriving never does."""
        self._parser = self.arriving = None

    def _malformed(self, cause: BaseException) -> Malformed:
        self.stop()
        return Malformed(type(cause).__name__)

    # llhttp -----------------------------------------------------------------------
    def on_message_begin(self) -> None:
        self._target = b""
        self._fields = []

    def on_url(self, part: bytes) -> None:
        self._target += part

    def on_header(self, name: bytes, value: bytes) -> None:
        # What follows a chunked body means nothing.
        if self.arriving is None:
            self._fields.append((name, value))

    def on_headers_complete(self) -> None:
        parser, fields = self._parser, self._fields
        assert parser is not None
        if len(fields) > MAX_HEADERS:
            raise BadHead
        # Or a body has come with it.
        if (self._head_bytes or 0) > MAX_LINE_BYTES:
            self._check_size(fields)
        self._head_bytes = None
        request = self.arriving = Request(
            self._receiver,
            str(parser.get_method(), "ascii"),
            str(self._target, "utf-8", "surrogateescape"),
            raw_headers=fields,
            is_newest=parser.get_http_version() == _NEWEST,
            is_kept=parser.should_keep_alive(),
        )
        hosts = len(request.headers.getall(hdrs.HOST, ()))
        if hosts > 1 or (request.is_newest and not hosts):
            raise BadHead
        declared = request.headers.get(hdrs.CONTENT_LENGTH)
        if declared is not None and not self._may_take(request, int(declared)):
            request.is_too_large = True
        self._receiver.announced(request)
        if request.is_too_large:
            self._hand_on_unread(request)

    def on_body(self, part: bytes) -> None:
        self._framing_bytes = 0
        request = self.arriving
        if request is None or request.is_too_large:
            return
        if not self._body:
            self._body = part
        else:
            if isinstance(self._body, bytes):
                self._body = bytearray(self._body)
            self._body += part
        if not self._may_take(request, len(self._body)):
            request.is_too_large = True
            self._hand_on_unread(request)

    def on_message_complete(self) -> None:
        request, self.arriving = self.arriving, None
        self._head_bytes = self._framing_bytes = 0
        if request is None:
            return
        if request.is_too_large:
            self._receiver.skipped()
            return
        if self._body:
            request.body = bytes(self._body)
            self._body = b""
        self._receiver.received(request)

    def _may_take(self, request: Request, size: int) -> bool:
        return size <= self._max_body_bytes or self._receiver.admits(request, size)

    def _check_size(self, fields: list[tuple[bytes, bytes]]) -> None:
        sizes = [len(self._target), *(len(value) for _, value in fields)]
        names = sum(len(name) for name, _ in fields)
        if max(sizes) > MAX_LINE_BYTES or sum(sizes) + names > MAX_HEAD_BYTES:
            raise BadHead

    def _hand_on_unread(self, request: Request) -> None:
        """Nobody knows where the next request would begin without reading all of it."""
        request.is_kept = False
        self._body = b""
        self._receiver.received(request)

"""One connection to another node: a request, its answer, the next request.

It speaks HTTP/1.1 with this server only, which answers with a length and in the order
of the requests. A general client takes five times the CPU for the same, and most of
what it builds would be taken apart again: here the header lines of an answer stay the
bytes that they are.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import Final, cast

from dwserver.engine.records import quick_init

MAX_HEAD_BYTES: Final = 65_536
HIGH_WATER_BYTES: Final = 262_144
"""What is kept of an answer whose client reads slowly, before the peer has to wait."""

_VERSION: Final = b"HTTP/1.1 "
_HEAD_END: Final = b"\r\n\r\n"
_LENGTH: Final = b"\r\nContent-Length: "
_CLOSE: Final = b"Connection: close\r\n"
# Statuses whose answers never have a body, whatever their length says.
_BODILESS: Final = frozenset({204, 304})
# Lines about this connection, not about the answer.
_HOP_BY_HOP: Final = frozenset(
    {b"connection", b"content-length", b"keep-alive", b"proxy-connection"}
)


class AnswerLost(ConnectionError):
    """The connection ended before the answer was complete: nobody knows what became
    of the request."""


class BadAnswer(AnswerLost):
    """What came back is no answer of this server."""


@quick_init
@dataclass(frozen=True, slots=True, kw_only=True)
class AnswerHead:
    """The start of an answer. ``lines``: the header lines but for length and
    connection; ``body``: all of it when ``is_whole``, else what came with the head;
    ``length``: its size in bytes, as announced."""

    status: int
    lines: bytes
    body: bytes
    length: int
    is_whole: bool


class PeerConnection(asyncio.Protocol):
    """``is_usable``: another request can be sent. ``deadline``, ``sent_at`` and
    ``idle_since`` belong to who uses it (seconds of the loop's clock)."""

    __slots__ = (
        "_answer",
        "_buffer",
        "_error",
        "_expects_body",
        "_is_paused",
        "_missing",
        "_more",
        "_transport",
        "deadline",
        "idle_since",
        "is_usable",
        "sent_at",
    )

    def __init__(self) -> None:
        self._transport: asyncio.Transport | None = None
        self._answer: asyncio.Future[AnswerHead] | None = None
        self._more: asyncio.Future[None] | None = None
        self._buffer = bytearray()
        self._error: Exception | None = None
        self._missing = 0
        self._expects_body = True
        self._is_paused = False
        self.is_usable = False
        self.deadline = float("inf")
        self.sent_at = 0.0
        self.idle_since = 0.0

    def send(
        self, request: bytes, *, expects_body: bool = True
    ) -> asyncio.Future[AnswerHead]:
        """Write a whole request; the future gets the start of its answer, or
        :class:`AnswerLost`, or what :meth:`abort` says. The connection must be usable,
        and its answer before must have been read to the end."""
        transport = self._transport
        assert transport is not None
        self._expects_body = expects_body
        answer = asyncio.get_running_loop().create_future()
        self._answer = answer
        transport.write(request)
        return answer

    async def read(self) -> bytes:
        """The next bytes of an answer that was not whole, until its length is reached;
        :class:`AnswerLost`."""
        while not self._buffer:
            if self._error is not None:
                raise self._error
            self._more = asyncio.get_running_loop().create_future()
            try:
                await self._more
            finally:
                self._more = None
        chunk = bytes(self._buffer)
        self._buffer.clear()
        transport = self._transport
        if self._is_paused and transport is not None and not transport.is_closing():
            self._is_paused = False
            transport.resume_reading()
        return chunk

    def abort(self, error: Exception) -> None:
        """Cut the connection at once: the peer notices, and leases no task to it.
        ``error`` is what waits for the answer is told."""
        self._fail(error)
        if self._transport is not None:
            self._transport.abort()

    def close(self) -> None:
        self.is_usable = False
        if self._transport is not None:
            self._transport.close()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)
        self.is_usable = True

    def connection_lost(self, exc: Exception | None) -> None:
        self._fail(AnswerLost(str(exc or "closed by the peer")))
        self._transport = None

    def data_received(self, data: bytes) -> None:
        if self._missing:
            self._feed(data)
        elif self._answer is None:
            # Nobody asked.
            self.abort(BadAnswer("an answer without a request"))
        elif self._buffer:
            self._buffer += data
            self._read_head(bytes(self._buffer))
        else:
            self._read_head(data)

    def _read_head(self, data: bytes) -> None:
        end = data.find(_HEAD_END)
        if end < 0:
            self._buffer[:] = data
            if len(data) > MAX_HEAD_BYTES:
                self.abort(BadAnswer("a head without an end"))
            return
        self._buffer.clear()
        try:
            status, lines, length = _parsed(data, end)
        except ValueError as error:
            self.abort(BadAnswer(str(error)))
            return
        if lines.endswith(_CLOSE):
            lines = lines[: -len(_CLOSE)]
            self.is_usable = False
        has_body = self._expects_body and status not in _BODILESS
        self._begin(
            status, lines, length=length, body=data[end + 4 :], has_body=has_body
        )

    def _begin(
        self, status: int, lines: bytes, *, length: int, body: bytes, has_body: bool
    ) -> None:
        expected = length if has_body else 0
        missing = expected - len(body)
        if missing < 0:
            # The answer is good; what follows it was not asked for.
            body = body[:expected]
            self.close()
        answer, self._answer = self._answer, None
        self._missing = max(missing, 0)
        assert answer is not None
        if answer.done():
            return
        answer.set_result(
            AnswerHead(
                status=status,
                lines=lines,
                body=body,
                length=length,
                is_whole=missing <= 0,
            )
        )

    def _feed(self, data: bytes) -> None:
        if len(data) > self._missing:
            data = data[: self._missing]
            self.close()
        self._missing -= len(data)
        self._buffer += data
        is_full = self._missing and len(self._buffer) > HIGH_WATER_BYTES
        if is_full and not self._is_paused and self._transport is not None:
            self._is_paused = True
            self._transport.pause_reading()
        if self._more is not None and not self._more.done():
            self._more.set_result(None)

    def _fail(self, error: Exception) -> None:
        """The first reason is the one that counts."""
        self.is_usable = False
        if self._error is None:
            self._error = error
        answer, self._answer = self._answer, None
        if answer is not None and not answer.done():
            answer.set_exception(self._error)
        if self._more is not None and not self._more.done():
            self._more.set_result(None)


def _parsed(data: bytes, end: int) -> tuple[int, bytes, int]:
    """Status, header lines, length of the body. ValueError for what is no answer."""
    start = data.find(b"\r\n", 0, end + 2) + 2
    if not data.startswith(_VERSION) or not data[9:12].isdigit():
        raise ValueError("not HTTP/1.1")
    status = int(data[9:12])
    if status < 200:
        raise ValueError(f"an interim answer ({status}) that nobody asked for")
    # The server writes the length last.
    at = data.rfind(_LENGTH, 0, end)
    if at >= 0 and (digits := data[at + len(_LENGTH) : end]).isdigit():
        return status, data[start : at + 2], int(digits)
    return status, *_searched(data[start : end + 2])


def _searched(head: bytes) -> tuple[bytes, int]:
    """Header lines and length of an answer that was written by the HTTP library."""
    kept, length = [], None
    is_closing = False
    for line in head.split(b"\r\n")[:-1]:
        name, colon, value = line.partition(b":")
        name = name.lower()
        if not colon or name == b"transfer-encoding":
            raise ValueError("an answer without a length")
        if name == b"content-length":
            if length is not None or not value.strip().isdigit():
                raise ValueError("an answer of several lengths, or of none")
            length = int(value)
        is_closing |= name == b"connection" and value.strip().lower() == b"close"
        if name not in _HOP_BY_HOP:
            kept.append(line + b"\r\n")
    if length is None:
        raise ValueError("an answer without a length")
    if is_closing:
        kept.append(_CLOSE)
    return b"".join(kept), length

"""A response that is written in one piece behind a head that is rendered once.

The headers of an answer hardly differ from request to request. aiohttp's own response
collects, copies and serialises them anew each time, which takes longer than most
handlers.
"""

from __future__ import annotations

import re
import time
from collections.abc import Mapping
from email.utils import formatdate
from http import HTTPStatus
from typing import Final

from aiohttp import HttpVersion11, hdrs, web
from aiohttp.abc import AbstractStreamWriter

_STATUS_LINES: Final = {
    status.value: f"HTTP/1.1 {status.value} {status.phrase}\r\n".encode()
    for status in HTTPStatus
}
_CLOSE: Final = b"Connection: close\r\n"
_KEEP: Final = b"Connection: keep-alive\r\n"
_CONTROL_CHARACTER: Final = re.compile(r"[\x00-\x08\x0a-\x1f\x7f]")


def header_lines(fields: Mapping[str, str]) -> bytes:
    """The lines of a head; ValueError for a value that would end its line."""
    if any(map(_CONTROL_CHARACTER.search, fields.values())):
        raise ValueError("a header holds a control character")
    return "".join(f"{name}: {value}\r\n" for name, value in fields.items()).encode()


class DateLine:
    """The ``Date`` header, rendered once a second."""

    __slots__ = ("_line", "_second")

    def __init__(self) -> None:
        self._second = 0
        self._line = b""

    def now(self) -> bytes:
        second = int(time.time())
        if second != self._second:
            self._second = second
            self._line = header_lines({hdrs.DATE: formatdate(second, usegmt=True)})
        return self._line


class Answer(web.StreamResponse):
    """``lines``: the headers but for length and connection, which depend on the
    request. aiohttp awaits ``prepare``, then ``write_eof``; whoever does so before is
    told by ConnectionError that the client has gone."""

    def __init__(self, status: int, lines: bytes, body: bytes) -> None:
        super().__init__(status=status)
        self._lines = lines
        self._content = body
        self._request: web.BaseRequest | None = None
        self._is_kept: bool | None = None
        self._is_written = False

    @property
    def keep_alive(self) -> bool | None:
        return self._is_kept

    def force_close(self) -> None:
        self._is_kept = False

    async def prepare(self, request: web.BaseRequest) -> AbstractStreamWriter | None:
        if self._is_kept is None:
            self._is_kept = request.keep_alive
        self._request = request
        return request.writer

    async def write_eof(self, data: bytes = b"") -> None:
        request = self._request
        if self._is_written or request is None:
            return
        self._is_written = True
        await self._write(request)

    async def _write(self, request: web.BaseRequest) -> None:
        body = b"" if request.method == hdrs.METH_HEAD else self._content
        await request.writer.write_eof(self._head(request, len(self._content)) + body)

    def _head(self, request: web.BaseRequest, length: int) -> bytes:
        return b"%b%b%bContent-Length: %d\r\n\r\n" % (
            _STATUS_LINES[self.status],
            self._lines,
            self._connection_line(request),
            length,
        )

    def _connection_line(self, request: web.BaseRequest) -> bytes:
        """What the version of the request does not imply."""
        is_newest = request.version >= HttpVersion11
        if self._is_kept:
            return b"" if is_newest else _KEEP
        return _CLOSE if is_newest else b""

"""An answer that is written in one piece behind a head that is rendered once.

The headers of an answer hardly differ from request to request: collecting and
serialising them anew each time would take longer than most handlers.
"""

from __future__ import annotations

import re
import time
from collections.abc import Mapping
from email.utils import formatdate
from http import HTTPStatus
from typing import Final

from aiohttp import hdrs

from dwserver.http.request import Request

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


class Answer:
    """``lines``: the headers but for length and connection, which depend on the
    request. ``write`` is called once; ClientGone from it says that the client has."""

    __slots__ = ("_content", "_is_closing", "_lines", "is_kept", "is_written", "status")

    def __init__(self, status: int, lines: bytes, body: bytes) -> None:
        self.status = status
        self._lines = lines
        self._content = body
        self._is_closing = False
        self.is_written = False
        self.is_kept = False
        """Once written: the connection serves another request."""

    def force_close(self) -> None:
        """The connection serves no other request, whatever its client wishes."""
        self._is_closing = True
        self.is_kept = False

    async def write(self, request: Request) -> None:
        self._begin(request)
        body = b"" if request.method == hdrs.METH_HEAD else self._content
        request.channel.write(self._head(request, len(self._content)) + body)

    def _begin(self, request: Request) -> None:
        self.is_written = True
        self.is_kept = request.is_kept and not self._is_closing

    def _head(self, request: Request, length: int) -> bytes:
        return b"%b%b%bContent-Length: %d\r\n\r\n" % (
            _STATUS_LINES[self.status],
            self._lines,
            self._connection_line(request),
            length,
        )

    def _connection_line(self, request: Request) -> bytes:
        """What the version of the request does not imply."""
        if self.is_kept:
            return b"" if request.is_newest else _KEEP
        return _CLOSE if request.is_newest else b""

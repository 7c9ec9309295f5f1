"""A request as it arrived: its head and the whole body."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from typing import Final, Protocol
from urllib.parse import unquote, urlsplit

from multidict import CIMultiDict, MultiMapping, istr

RawHeaders = Sequence[tuple[bytes, bytes]]

_LONGEST_KNOWN_NAME: Final = 64


class ClientGone(ConnectionError):
    """The connection broke before the request was complete or answered."""


class Channel(Protocol):
    """The connection of a request, as its answer sees it."""

    @property
    def is_open(self) -> bool:
        """The client can still be answered."""
        ...

    @property
    def address(self) -> str | None:
        """The client's IP address."""
        ...

    def write(self, data: bytes) -> None:
        """:class:`ClientGone` when the connection is closed or closing."""
        ...

    async def drained(self) -> None:
        """Return when the client has taken most of what was written."""
        ...


class Request:
    """``target``: the request line's, percent-encoded; bytes of the head that are no
    UTF-8 are lone surrogates. ``headers`` ignores case; of a repeated one ``get`` gives
    the first. ``is_too_large``: the body exceeds the limit of this node and was not
    kept; ``is_crowded_out``: because another large body was there at the time.
    ``is_newest``: HTTP/1.1 rather than 1.0. ``is_kept``: the client wishes to
    use the connection again."""

    __slots__ = (
        "body",
        "channel",
        "headers",
        "is_crowded_out",
        "is_kept",
        "is_newest",
        "is_too_large",
        "method",
        "raw_headers",
        "target",
    )

    scheme = "http"

    def __init__(
        self,
        channel: Channel,
        method: str,
        target: str,
        *,
        raw_headers: RawHeaders,
        is_newest: bool,
        is_kept: bool,
    ) -> None:
        self.channel = channel
        self.method = method
        self.target = target
        self.raw_headers = raw_headers
        self.headers: MultiMapping[str] = CIMultiDict(
            [
                (
                    _name(name) if len(name) <= _LONGEST_KNOWN_NAME else _text(name),
                    _text(value),
                )
                for name, value in raw_headers
            ]
        )
        self.is_newest = is_newest
        self.is_kept = is_kept
        self.is_too_large = False
        self.is_crowded_out = False
        self.body = b""

    @property
    def path(self) -> str:
        """Decoded, without the query string."""
        path = self.split_target()[0]
        return unquote(path, errors="surrogateescape") if "%" in path else path

    @property
    def remote(self) -> str | None:
        """IP address of the client."""
        return self.channel.address

    def split_target(self) -> tuple[str, str]:
        """Raw path and query string."""
        target = self.target
        if not target.startswith("/"):
            # The absolute form, which clients send to proxies.
            parts = urlsplit(target)
            return parts.path or "/", parts.query
        path, _, query_string = target.partition("?")
        return path, query_string


def _text(data: bytes) -> str:
    return data.decode("utf-8", "surrogateescape")


@lru_cache(maxsize=512)
def _name(name: bytes) -> istr:
    """Clients send the same few names over and over."""
    return istr(_text(name))

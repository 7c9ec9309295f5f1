"""The request as it is passed on: the client's head, with this node's word for it."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from aiohttp import hdrs

from dwserver.http.auth.signature import SIGNATURE_HEADER
from dwserver.http.forwarding.credential import FORWARDED_HEADER
from dwserver.protocol.versions import (
    CONTROL_PLANE_HEADER,
    NAMESPACE_HEADER,
    WORKER_PROTOCOL_HEADER,
)

# Of the client's connection, not of its request; or the client's secrets, which have
# done their work; or what only this node says.
_DROPPED: Final = frozenset(
    {
        b"authorization",
        b"connection",
        b"content-length",
        b"expect",
        b"keep-alive",
        b"proxy-authorization",
        b"proxy-connection",
        b"te",
        b"trailer",
        b"transfer-encoding",
        b"upgrade",
        FORWARDED_HEADER.lower().encode(),
        SIGNATURE_HEADER.lower().encode(),
    }
)
_ORDINARY: Final = frozenset({b"close", b"keep-alive"})
_KEPT: Final = _ORDINARY | frozenset(
    name.lower().encode()
    for name in (
        hdrs.ACCEPT_ENCODING,
        hdrs.CONTENT_TYPE,
        hdrs.HOST,
        CONTROL_PLANE_HEADER,
        WORKER_PROTOCOL_HEADER,
        NAMESPACE_HEADER,
    )
)


def passed_on(
    method: str,
    target: str,
    headers: Iterable[tuple[bytes, bytes]],
    *,
    credential: str,
    body: bytes,
) -> bytes:
    """The bytes of the request. ``headers`` are the client's, as they arrived."""
    lines = [
        b"%b: %b\r\n" % (name, value)
        for name, value in headers
        if name.lower() not in _DROPPED
    ]
    named = _named_by_connection(headers)
    if named:
        lines = [line for line in lines if line.partition(b":")[0].lower() not in named]
    start = f"{method} {target} HTTP/1.1\r\n".encode("utf-8", "surrogateescape")
    return b"%b%b%b: %b\r\nContent-Length: %d\r\n\r\n%b" % (
        start,
        b"".join(lines),
        FORWARDED_HEADER.encode(),
        credential.encode(),
        len(body),
        body,
    )


def _named_by_connection(headers: Iterable[tuple[bytes, bytes]]) -> set[bytes]:
    """Headers that the client means for this connection only. Those by which this
    server knows what is asked belong to the request, whatever a client says."""
    named: set[bytes] = set()
    for name, value in headers:
        if name.lower() == b"connection" and value.lower() not in _ORDINARY:
            named.update(word.strip().lower() for word in value.split(b","))
    return named - _KEPT

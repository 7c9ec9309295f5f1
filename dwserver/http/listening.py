"""The sockets of a listener, and who waits in them when it ends."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Iterator


async def bound_sockets(
    host: str, port: int, *, reuse_port: bool = False
) -> list[socket.socket]:
    """One for each address of the host; OSError when one of them is not free."""
    loop = asyncio.get_running_loop()
    found = await loop.getaddrinfo(
        host or None, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
    )
    bound: list[socket.socket] = []
    try:
        for family, kind, protocol, _, address in dict.fromkeys(found):
            listening = socket.socket(family, kind, protocol)
            bound.append(listening)
            listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            if reuse_port:
                listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
            if family == socket.AF_INET6:
                listening.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
            listening.bind(address)
            listening.setblocking(False)
    except OSError:
        for listening in bound:
            listening.close()
        raise
    return bound


def close_after_the_last(listening: socket.socket) -> Iterator[socket.socket]:
    """Accept everybody who waits, then close: whoever is connected and not accepted
    when the socket is closed is cut off, also when other processes share the port."""
    with listening:
        while True:
            try:
                client, _ = listening.accept()
            except OSError:
                # Nobody is left, or no more may be open.
                return
            client.setblocking(False)
            yield client

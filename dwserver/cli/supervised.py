"""A node's end of the connection to the process that supervises it."""

from __future__ import annotations

import asyncio
import os
import signal
import socket

READY = b"ready"


class SupervisorLink:
    """Over an inherited socket: the node says when it is ready, and ends in order when
    the supervisor is gone, however that ended."""

    def __init__(self, descriptor: int) -> None:
        self._socket = socket.socket(fileno=descriptor)

    def report_ready(self) -> None:
        """Called in the event loop of the node."""
        loop = asyncio.get_running_loop()
        self._socket.setblocking(False)
        loop.add_reader(self._socket, self._supervisor_gone, loop)
        try:
            self._socket.send(READY)
        except OSError:
            # The reader is told as well.
            return

    def _supervisor_gone(self, loop: asyncio.AbstractEventLoop) -> None:
        loop.remove_reader(self._socket)
        os.kill(os.getpid(), signal.SIGTERM)

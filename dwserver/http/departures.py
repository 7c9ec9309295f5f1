"""Who wants to know at once that a client has gone.

A handler that works learns it when it answers. One that only waits for another node
must let go at once: that node hands out tasks as long as somebody seems to listen.
"""

from __future__ import annotations

from collections.abc import Callable

from dwserver.http.request import Channel


class Departures:
    """One watcher per connection, which handles one request at a time."""

    def __init__(self) -> None:
        self._watchers: dict[Channel, Callable[[], None]] = {}

    def watch(self, connection: Channel, on_gone: Callable[[], None]) -> None:
        """Until :meth:`forget`."""
        self._watchers[connection] = on_gone

    def forget(self, connection: Channel) -> None:
        self._watchers.pop(connection, None)

    def gone(self, connection: Channel) -> None:
        """The connection is lost."""
        on_gone = self._watchers.pop(connection, None)
        if on_gone is not None:
            on_gone()

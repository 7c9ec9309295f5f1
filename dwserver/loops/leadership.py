"""Keep or take a leadership; give it up at once when the process is to end."""

from __future__ import annotations

from dwserver.runtime.backoff import Backoff
from dwserver.runtime.service import FailurePolicy, Loop, TaskHost
from dwserver.services.leadership import Leadership

# A renewal that failed is tried again well within the lease.
RETRY = Backoff(maximum_seconds=1.0)


class LeadershipLoop:
    """A service: started before, and drained after, what the leader does."""

    def __init__(self, leadership: Leadership, host: TaskHost) -> None:
        self.name = f"leadership-{leadership.name}"
        self._leadership = leadership
        self._loop = Loop(
            self.name,
            leadership.look,
            host,
            interval_seconds=60.0,
            on_failure=FailurePolicy.RESTART,
            backoff=RETRY,
        )

    async def start(self) -> None:
        await self._loop.start()

    async def drain(self) -> None:
        await self._loop.drain()
        await self._leadership.resign()

    async def stop(self) -> None:
        await self._loop.stop()
        await self._leadership.resign()

"""Actions at a later time, as a dependency that tests can step."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Protocol, TypeAlias


class TimerHandle(Protocol):
    """A planned action."""

    def cancel(self) -> None:
        """Do not do it; nothing when it has been done."""
        ...


CallLater: TypeAlias = Callable[[float, Callable[[], None]], TimerHandle]
"""Plans an action, so many seconds from now."""


def on_event_loop(seconds: float, action: Callable[[], None]) -> TimerHandle:
    """Plan an action on the running event loop."""
    return asyncio.get_running_loop().call_later(max(seconds, 0.0), action)

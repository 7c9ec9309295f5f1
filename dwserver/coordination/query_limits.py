"""How much of the queries a process and a queue take, and who hears of changes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol


@dataclass(frozen=True, slots=True, kw_only=True)
class QueryLimits:
    """``lease`` and ``keep`` (how long an ended task is remembered) in microseconds;
    ``pending_per_queue`` counts tasks that no worker holds. ``open_tasks`` and
    ``argument_bytes`` are those of one process's callers."""

    lease: int
    keep: int
    pending_per_queue: int
    open_tasks: int = 10_000
    argument_bytes: int = 64 * 1024 * 1024


class QueryTaskObserver(Protocol):
    """Told about changes of one exchange."""

    def pending(self, count: int) -> None: ...
    def lease_expired(self) -> None: ...

"""Who waits in a process for queries: callers for answers, polls for tasks."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Generic, Protocol, TypeVar

from dwserver.coordination.query_limits import QueryLimits
from dwserver.coordination.query_tasks import QueryLease, QueryPoll, QueryTask


class Caller(Protocol):
    """One that waits for the answer to ``task``."""

    @property
    def task(self) -> QueryTask: ...


AnyCaller = TypeVar("AnyCaller", bound=Caller)


class Callers(Generic[AnyCaller]):
    """By the ids of their tasks, bounded by number and by the bytes of arguments."""

    def __init__(self, limits: QueryLimits) -> None:
        self._limits = limits
        self._callers: dict[str, AnyCaller] = {}
        self._argument_bytes = 0

    def __iter__(self) -> Iterator[AnyCaller]:
        """Those of this moment, whatever is done with them."""
        return iter(tuple(self._callers.values()))

    def get(self, task_id: str) -> AnyCaller | None:
        return self._callers.get(task_id)

    def has_room(self, task: QueryTask) -> bool:
        limits = self._limits
        return (
            len(self._callers) < limits.open_tasks
            and self._argument_bytes + _size(task) <= limits.argument_bytes
        )

    def add(self, caller: AnyCaller) -> None:
        self._callers[caller.task.id] = caller
        self._argument_bytes += _size(caller.task)

    def remove(self, caller: AnyCaller) -> bool:
        """False when it has been removed before."""
        if self._callers.pop(caller.task.id, None) is None:
            return False
        self._argument_bytes -= _size(caller.task)
        return True


def _size(task: QueryTask) -> int:
    return len(task.arguments.data) if task.arguments else 0


@dataclass(slots=True, eq=False)
class WaitingPoll:
    """A poll that found nothing yet."""

    poll: QueryPoll
    answer: asyncio.Future[QueryLease | None] = field(
        default_factory=lambda: asyncio.get_running_loop().create_future()
    )

    def end(self) -> None:
        if not self.answer.done():
            self.answer.set_result(None)

    def unseen(self) -> QueryLease | None:
        """The lease that it was given in the moment in which it was cancelled."""
        return None if self.answer.cancelled() else self.answer.result()

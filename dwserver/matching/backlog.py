"""Ready tasks that this process knows of and that nobody was waiting for.

A poll takes the oldest suitable one at once, without asking the database which tasks
there are; so a new task never overtakes one that waits. Only knowledge: whether a task
is still ready is decided when it is leased. Bounded; what does not fit is found by the
claim rounds.
"""

from __future__ import annotations

from collections import deque

from dwserver.matching.pollers import Poller
from dwserver.store.api import QueueKey, ReadyTask

# How far a poll looks past tasks that it may not take.
MAX_LOOK = 64


class Backlog:
    def __init__(self, *, max_tasks: int) -> None:
        self._max_tasks = max_tasks
        self._queues: dict[QueueKey, deque[ReadyTask]] = {}
        self._count = 0

    def add(self, task: ReadyTask) -> bool:
        """False when there is no room."""
        if self._count >= self._max_tasks:
            return False
        self._queues.setdefault(task.key, deque()).append(task)
        self._count += 1
        return True

    def take(self, poller: Poller) -> ReadyTask | None:
        """The oldest known task that suits the poller."""
        queue = self._queues.get(poller.key)
        if queue is None:
            return None
        for index, task in enumerate(queue):
            if index == MAX_LOOK:
                return None
            if poller.accepts(task.type_name, task.compatibility):
                del queue[index]
                self._removed(poller.key, queue)
                return task
        return None

    def forget(self, key: QueueKey) -> None:
        """Drop what is known of a queue; the database still has it."""
        self._count -= len(self._queues.pop(key, ()))

    def queues(self) -> list[QueueKey]:
        return list(self._queues)

    def _removed(self, key: QueueKey, queue: deque[ReadyTask]) -> None:
        self._count -= 1
        if not queue:
            del self._queues[key]

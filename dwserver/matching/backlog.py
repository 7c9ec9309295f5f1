"""Ready tasks that this process knows of and that nobody was waiting for.

A poll takes the oldest suitable one at once, without asking the database which tasks
there are; so a new task never overtakes one that waits. Only knowledge: whether a task
is still ready is decided when it is leased. Bounded; what does not fit is found by the
claim rounds, which put what they find, being older, in front.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Sequence

from dwserver.matching.pollers import Poller
from dwserver.store.api import QueueKey, ReadyTask

# How far a poll looks past tasks that it may not take.
MAX_LOOK = 64


class Backlog:
    def __init__(self, *, max_tasks: int) -> None:
        self._max_tasks = max_tasks
        self._queues: dict[QueueKey, OrderedDict[str, ReadyTask]] = {}
        self._count = 0

    def add(self, task: ReadyTask) -> bool:
        """Put it at the end; False when there is no room."""
        if self._count >= self._max_tasks:
            return False
        queue = self._queues.setdefault(task.key, OrderedDict())
        if task.task_id not in queue:
            self._count += 1
        queue[task.task_id] = task
        return True

    def put_in_front(self, tasks: Sequence[ReadyTask]) -> None:
        """Tasks found in the database, oldest first: they come before all others.

        A bounded number (one round's), which may exceed the room for a moment.
        """
        for task in reversed(tasks):
            queue = self._queues.setdefault(task.key, OrderedDict())
            if task.task_id not in queue:
                self._count += 1
            queue[task.task_id] = task
            queue.move_to_end(task.task_id, last=False)

    def take(self, poller: Poller) -> ReadyTask | None:
        """The oldest known task that suits the poller."""
        queue = self._queues.get(poller.key)
        if queue is None:
            return None
        for index, task in enumerate(queue.values()):
            if index == MAX_LOOK:
                return None
            if poller.accepts(task):
                self._remove(task)
                return task
        return None

    def forget(self, key: QueueKey) -> None:
        """Drop what is known of a queue; the database still has it."""
        self._count -= len(self._queues.pop(key, ()))

    def holds(self, key: QueueKey) -> bool:
        return key in self._queues

    def queues(self) -> list[QueueKey]:
        return list(self._queues)

    def _remove(self, task: ReadyTask) -> None:
        queue = self._queues[task.key]
        del queue[task.task_id]
        self._count -= 1
        if not queue:
            del self._queues[task.key]

"""Ready tasks that this process knows of and that nobody was waiting for.

A poll takes the oldest suitable one at once, without asking the database which tasks
there are; so a new task never overtakes one that waits. Only knowledge: whether a task
is still ready is decided when it is leased. Bounded; what does not fit is found by the
claim rounds, which put what they find, being older, in front.

Tasks of a queue lie in lanes, by the definition that their run stays with: those that
wait for a definition which no worker has any more are in nobody's way.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Sequence
from typing import TypeAlias

from dwserver.matching.pollers import Poller
from dwserver.store.api import QueueKey, ReadyTask

# How far a poll looks past tasks of a lane that it may not take.
MAX_LOOK = 64

Lane: TypeAlias = tuple[str, str] | None
"""Workflow type and fingerprint; None for what is bound to no definition."""

# Place in the queue and task, by task id.
_Tasks: TypeAlias = OrderedDict[str, tuple[int, ReadyTask]]


def _lane_of(task: ReadyTask) -> Lane:
    recorded = task.definition_fingerprint
    return None if recorded is None else (task.type_name, recorded)


class Backlog:
    def __init__(self, *, max_tasks: int) -> None:
        self._max_tasks = max_tasks
        self._queues: dict[QueueKey, dict[Lane, _Tasks]] = {}
        self._count = 0
        self._first_place = 0
        self._last_place = 0

    def add(self, task: ReadyTask) -> bool:
        """Put it at the end; False when there is no room."""
        if self._count >= self._max_tasks:
            return False
        known = self._lane(task)
        if task.task_id not in known:
            self._count += 1
            self._last_place += 1
            known[task.task_id] = (self._last_place, task)
        return True

    def put_in_front(self, tasks: Sequence[ReadyTask]) -> None:
        """Tasks found in the database, oldest first: they come before all others.

        A bounded number (one round's), which may exceed the room for a moment.
        """
        for task in reversed(tasks):
            known = self._lane(task)
            if task.task_id not in known:
                self._count += 1
            self._first_place -= 1
            known[task.task_id] = (self._first_place, task)
            known.move_to_end(task.task_id, last=False)

    def take(self, poller: Poller) -> ReadyTask | None:
        """The oldest known task that suits the poller."""
        found: tuple[int, ReadyTask] | None = None
        for lane, tasks in self._queues.get(poller.key, {}).items():
            if lane is None or poller.may_run(*lane):
                oldest = _first_for(poller, tasks)
                if oldest is not None and (found is None or oldest[0] < found[0]):
                    found = oldest
        if found is None:
            return None
        self._remove(found[1])
        return found[1]

    def forget(self, key: QueueKey) -> None:
        """Drop what is known of a queue; the database still has it."""
        self._count -= sum(map(len, self._queues.pop(key, {}).values()))

    def holds(self, key: QueueKey) -> bool:
        return key in self._queues

    def queues(self) -> list[QueueKey]:
        return list(self._queues)

    def _lane(self, task: ReadyTask) -> _Tasks:
        lanes = self._queues.setdefault(task.key, {})
        return lanes.setdefault(_lane_of(task), OrderedDict())

    def _remove(self, task: ReadyTask) -> None:
        lanes, lane = self._queues[task.key], _lane_of(task)
        del lanes[lane][task.task_id]
        self._count -= 1
        if not lanes[lane]:
            del lanes[lane]
        if not lanes:
            del self._queues[task.key]


def _first_for(poller: Poller, tasks: _Tasks) -> tuple[int, ReadyTask] | None:
    for index, entry in enumerate(tasks.values()):
        if index == MAX_LOOK:
            return None
        if poller.accepts(entry[1]):
            return entry
    return None

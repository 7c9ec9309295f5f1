"""Hot runs of this process: state, input and rendered history, bounded.

Only a saving: the version guard makes a stale entry harmless, and whatever is not
here is read from the database.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass, field

from dwserver.engine.model import Event, Payload, RunInput, RunState, Task
from dwserver.engine.transition import RunChange
from dwserver.engine.words import TaskStatus
from dwserver.protocol.history_events import worker_event


@dataclass(slots=True)
class RecentHistory:
    """Worker-plane JSON of the events 1…n of a run, and of the held ones by step."""

    fragments: list[bytes] = field(default_factory=list)
    held: dict[int, Event] = field(default_factory=dict)
    has_plain: bool = False
    size: int = 0

    def is_of(self, state: RunState) -> bool:
        """Whether it is a beginning of the run's history."""
        return len(self.fragments) <= state.run.last_sequence

    def extend(self, change: RunChange) -> bool:
        """Follow a committed change; False when this history has a gap now."""
        added: dict[int, bytes] = {}
        for event in change.events:
            if event.has_plain:
                return False
            if event.sequence < 0:
                self.held[-event.sequence] = event
            else:
                added[event.sequence] = worker_event(event)
        for released in change.released:
            held = self.held.pop(-released.held, None)
            if held is None:
                return False
            added[released.sequence] = worker_event(
                held, sequence=released.sequence, recorded_at=released.recorded_at
            )
        for sequence in sorted(added):
            if sequence != len(self.fragments) + 1:
                return False
            self.fragments.append(added[sequence])
            self.size += len(added[sequence])
        return True


@dataclass(slots=True)
class HotRun:
    """``arguments``: of open activities that were scheduled here, by activity id."""

    state: RunState
    input: RunInput | None = None
    history: RecentHistory | None = None
    arguments: dict[str, Payload | None] = field(default_factory=dict)
    arguments_size: int = 0

    @property
    def size(self) -> int:
        """Bytes of history and arguments."""
        return self.arguments_size + (self.history.size if self.history else 0)

    def follow_arguments(self, change: RunChange) -> None:
        """Keep those of new activities, drop those of closed ones."""
        for new in change.new_activities:
            self.arguments[new.activity.id] = new.arguments
            self.arguments_size += _size(new.arguments)
        for activity in change.activities:
            if not activity.is_open and activity.id in self.arguments:
                self.arguments_size -= _size(self.arguments.pop(activity.id))


def _is_ready(task: Task) -> bool:
    return task.status is TaskStatus.READY


def _size(payload: Payload | None) -> int:
    return len(payload.data) if payload else 0


class HotRuns:
    """Least recently used first out, by number of runs and by their bytes.

    ``keeps_ready`` False: tasks that are left ready go to other processes, so what is
    known of their runs would be stale when it is needed, and is not kept.
    """

    def __init__(
        self, *, max_runs: int, max_bytes: int, keeps_ready: bool = True
    ) -> None:
        self._max_runs = max_runs
        self._max_bytes = max_bytes
        self._keeps_ready = keeps_ready
        self._runs: OrderedDict[str, HotRun] = OrderedDict()
        self._tasks: dict[str, Task] = {}
        self._bytes = 0

    def get(self, run_id: str) -> HotRun | None:
        hot = self._runs.get(run_id)
        if hot is not None:
            self._runs.move_to_end(run_id)
        return hot

    def find_task(self, namespace: str, task_id: str) -> Task | None:
        """An open task of a hot run."""
        task = self._tasks.get(task_id)
        return task if task is not None and task.namespace == namespace else None

    def loaded(self, state: RunState, *, was: HotRun | None = None) -> HotRun:
        """Remember what was read. ``was``: the copy that it replaces, of which the
        beginning is still true."""
        self.drop(state.run.id)
        hot = HotRun(state)
        if was is not None:
            hot.input = was.input
            if was.history is not None and was.history.is_of(state):
                hot.history = was.history
        self._keep(hot)
        return hot

    def committed(self, state: RunState, change: RunChange) -> None:
        """Follow a commit: ``state`` is the run after ``change``."""
        run_id = state.run.id
        hot = self._runs.pop(run_id, None)
        if hot is None:
            is_new = change.base_version is None
            hot = HotRun(state, change.input, RecentHistory() if is_new else None)
        else:
            self._forget(hot)
            hot.state = state
        if state.run.status.is_terminal and not state.tasks:
            return
        if not self._keeps_ready and any(map(_is_ready, state.tasks.values())):
            return
        if hot.history is not None and not hot.history.extend(change):
            hot.history = None
        hot.follow_arguments(change)
        self._keep(hot)

    def drop(self, run_id: str) -> None:
        hot = self._runs.pop(run_id, None)
        if hot is not None:
            self._forget(hot)

    def remember_input(self, run_id: str, run_input: RunInput) -> None:
        hot = self._runs.get(run_id)
        if hot is not None:
            hot.input = run_input

    def remember_history(
        self, run_id: str, fragments: Sequence[bytes], *, after: int
    ) -> None:
        """Keep the rendered events that were read after those that are known, if with
        them all are."""
        hot = self._runs.get(run_id)
        if hot is None or after + len(fragments) != hot.state.run.last_sequence:
            return
        history = hot.history or RecentHistory()
        if len(history.fragments) != after:
            return
        size = sum(map(len, fragments))
        history.fragments += fragments
        history.size += size
        hot.history = history
        self._bytes += size

    def _keep(self, hot: HotRun) -> None:
        self._runs[hot.state.run.id] = hot
        self._tasks.update(hot.state.tasks)
        self._bytes += hot.size
        while self._runs and (
            len(self._runs) > self._max_runs or self._bytes > self._max_bytes
        ):
            _, oldest = self._runs.popitem(last=False)
            self._forget(oldest)

    def _forget(self, hot: HotRun) -> None:
        for task_id in hot.state.tasks:
            self._tasks.pop(task_id, None)
        self._bytes -= hot.size

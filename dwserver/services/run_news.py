"""News of runs between processes, for requests that wait where nothing is committed.

A process whose requests wait for a run says so (*watched*). The others remember that
for a while and say when they have written events of such a run (*changed*); of a run
that nobody elsewhere waits for nothing is said. One that has the run in memory answers
at once, because it may have written something just before it heard of the wait; so does
one that has just written something and not kept the run, which it has closed perhaps.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable
from typing import Final

from dwserver.coordination.wake_signals import Key, Topic, WakeSignals
from dwserver.engine.transition import RunChange
from dwserver.engine.wire_time import MICROS

# How long ago something may have been written for a wait that has not heard of it.
JUST_LEFT: Final = 3 * MICROS
MAX_RUNS: Final = 20_000


class _Recent:
    """Run ids until some instant; the oldest go first when there are too many."""

    def __init__(self) -> None:
        self._until: OrderedDict[str, int] = OrderedDict()

    def __bool__(self) -> bool:
        return bool(self._until)

    def put(self, run_id: str, until: int, *, now: int) -> None:
        self._until[run_id] = until
        self._until.move_to_end(run_id)
        while len(self._until) > MAX_RUNS or next(iter(self._until.values())) <= now:
            self._until.popitem(last=False)

    def holds(self, run_id: str, *, now: int) -> bool:
        until = self._until.get(run_id)
        if until is None:
            return False
        if until <= now:
            del self._until[run_id]
            return False
        return True

    def clear(self) -> None:
        self._until.clear()


class RunNews:
    """An observer of commits. ``is_known``: this process has the run in memory.
    ``watch_duration``: how long a watch counts, in microseconds; a wait that goes on
    repeats it after a third of that.
    """

    def __init__(
        self,
        signals: WakeSignals,
        *,
        is_known: Callable[[str], bool],
        now: Callable[[], int],
        watch_duration: int = 60 * MICROS,
    ) -> None:
        self._signals = signals
        self._is_known = is_known
        self._now = now
        self._watch_duration = watch_duration
        self._watched = _Recent()
        self._told = _Recent()
        self._left = _Recent()
        signals.listen(Topic.RUN_WATCHED, self._watched_elsewhere)
        signals.on_gap(self._told.clear)

    def watch(self, run_id: str) -> None:
        """A request of this process waits for events of the run."""
        now = self._now()
        if self._signals.is_shared and not self._told.holds(run_id, now=now):
            self._told.put(run_id, now + self._watch_duration // 3, now=now)
            self._signals.publish(Topic.RUN_WATCHED, run_id)

    def committed(self, change: RunChange) -> None:
        if not change.events or not self._signals.is_shared:
            return
        run, now = change.run, self._now()
        if not self._is_known(run.id):
            self._left.put(run.id, now + JUST_LEFT, now=now)
        if self._watched and self._watched.holds(run.id, now=now):
            self._signals.publish(Topic.RUN_CHANGED, run.id)

    def conflicted(self) -> None:
        """Nothing happened."""

    def _watched_elsewhere(self, run_id: Key) -> None:
        if isinstance(run_id, str):
            now = self._now()
            self._watched.put(run_id, now + self._watch_duration, now=now)
            if self._is_known(run_id) or self._left.holds(run_id, now=now):
                self._signals.publish(Topic.RUN_CHANGED, run_id)

"""How query tasks ended, remembered for late answers of workers."""

from __future__ import annotations

from collections import OrderedDict

from dwserver.coordination.query_guards import Standing


class SettledQueries:
    """Bounded by time (``keep``, microseconds) and by number, oldest first out."""

    def __init__(self, *, keep: int, max_entries: int) -> None:
        self._keep = keep
        self._max_entries = max_entries
        self._ended: OrderedDict[str, tuple[int, Standing]] = OrderedDict()

    def add(self, task_id: str, standing: Standing, *, now: int) -> None:
        self._ended[task_id] = (now + self._keep, standing)
        while self._ended:
            oldest = next(iter(self._ended))
            is_over = self._ended[oldest][0] <= now
            if not is_over and len(self._ended) <= self._max_entries:
                return
            del self._ended[oldest]

    def find(self, task_id: str, *, now: int) -> Standing | None:
        entry = self._ended.get(task_id)
        return entry[1] if entry is not None and entry[0] > now else None

"""Forget what schedules did long ago (decision 12, for their audit histories).

Each fire adds an event and an occurrence. Events go when they are older than the
retention of their namespace, but the newest ``KEEP_LEAST`` stay whatever their age, and
more than ``KEEP_MOST`` stay of no schedule. Occurrences go with the events: what was
fired for a time before the history begins is kept from firing again by the id of its
workflow alone, which is never given back. A schedule that was deleted so long ago goes
altogether.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Final

import structlog

from dwserver.services.namespaces import Namespaces
from dwserver.services.retention import DAY, MAX_REST_SECONDS, REST
from dwserver.store.api import Store
from dwserver.store.retention import HistoryCut, ScheduleAge

# Events of a schedule.
KEEP_LEAST: Final = 100
KEEP_MOST: Final = 50_000
# Schedules that a pass looks at, and events of one that it deletes.
PAGE: Final = 200
MAX_EVENTS: Final = 2000

_END_OF_TIME: Final = 2**63 - 1

_log = structlog.stdlib.get_logger(__name__)


class ScheduleRetention:
    """``default_days``: of a namespace that is not known. ``monotonic``: seconds, to
    tell how long a pass took."""

    def __init__(
        self,
        store: Store,
        namespaces: Namespaces,
        *,
        now: Callable[[], int],
        default_days: int,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._store = store
        self._namespaces = namespaces
        self._now = now
        self._default_days = default_days
        self._monotonic = monotonic
        # The last schedule that needs no look any more in this round.
        self._after = ""

    async def pass_over_page(self) -> float | None:
        """Look at the next schedules. Seconds to rest when there are more, None at the
        end of a round; StoreError."""
        began = self._monotonic()
        ages = await self._store.schedule_ages(after=self._after, limit=PAGE)
        events, is_done = 0, True
        for age in ages:
            deleted, is_done = await self._prune(age)
            events += deleted
            if not is_done:
                break
            self._after = age.id
        if events:
            _log.info("schedule_events_pruned", count=events)
        if is_done and len(ages) < PAGE:
            self._after = ""
            return None
        return min(REST * (self._monotonic() - began), MAX_REST_SECONDS)

    async def _prune(self, age: ScheduleAge) -> tuple[int, bool]:
        """How many events were deleted, and whether that was all."""
        cut = await self._cut_of(age)
        deleted = 0
        if age.first_sequence is not None and _is_old(age, cut):
            deleted = await self._store.prune_schedule(age.id, cut, limit=MAX_EVENTS)
            if deleted == MAX_EVENTS:
                return deleted, False
        if cut.upto == age.last_sequence:
            await self._store.forget_schedule(age.id)
        return deleted, True

    async def _cut_of(self, age: ScheduleAge) -> HistoryCut:
        found = await self._namespaces.find(age.namespace)
        days = found.retention_days if found else self._default_days
        before, last = self._now() - days * DAY, age.last_sequence
        if age.deleted_at is not None and age.deleted_at < before:
            return HistoryCut(upto=last, before=_END_OF_TIME, most=last)
        return HistoryCut(upto=last - KEEP_MOST, before=before, most=last - KEEP_LEAST)


def _is_old(age: ScheduleAge, cut: HistoryCut) -> bool:
    first, at = age.first_sequence or 0, age.first_recorded_at or 0
    return first <= cut.upto or (first <= cut.most and at < cut.before)

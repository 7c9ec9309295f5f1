"""Overdue activities, as an operator sees and ends them.

Source: ``spec/scheduling-and-maintenance.md`` §5.3. The loop of
:mod:`dwserver.services.deadlines` ends them without being asked; this is for what it
has not come to yet, in all namespaces.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from dwserver.engine.lifecycle.activity_timeout import ActivityTimedOut, TimeoutSkip
from dwserver.services.deadlines import Deadlines
from dwserver.services.runs import RunContended
from dwserver.store.api import ActivityPlace, Store, StoreError

Outcome = ActivityTimedOut | TimeoutSkip | RunContended | StoreError


@dataclass(frozen=True, slots=True)
class Enforced:
    """What became of one activity of a pass; an exception: it could not be decided."""

    execution_id: str
    outcome: Outcome


class ActivityTimeouts:
    def __init__(
        self, store: Store, deadlines: Deadlines, *, now: Callable[[], int]
    ) -> None:
        self._store = store
        self._deadlines = deadlines
        self._now = now

    async def expired(self, *, limit: int) -> list[str]:
        """Ids of the overdue, the longest overdue first; StoreError."""
        places = await self._store.expired_activities(now=self._now(), limit=limit)
        return [place.activity_id for place in places]

    async def enforce(self, *, limit: int) -> list[Enforced]:
        """Time out what is overdue; StoreError when that cannot be read."""
        places = await self._store.expired_activities(now=self._now(), limit=limit)
        return await self._end_all(places)

    async def enforce_on(self, execution_ids: Sequence[str]) -> list[Enforced]:
        """Time out the overdue ones of these; each is answered once, in this order."""
        places = {
            place.activity_id: place
            for place in await self._store.find_activities(execution_ids)
        }
        ended = {
            enforced.execution_id: enforced
            for enforced in await self._end_all(list(places.values()))
        }
        return [
            ended.get(each) or Enforced(each, TimeoutSkip.EXECUTION_NOT_FOUND)
            for each in dict.fromkeys(execution_ids)
        ]

    async def _end_all(self, places: Sequence[ActivityPlace]) -> list[Enforced]:
        return list(await asyncio.gather(*map(self._end, places)))

    async def _end(self, place: ActivityPlace) -> Enforced:
        try:
            done = await self._deadlines.end_activity(place.run_id, place.step)
        except (RunContended, StoreError) as error:
            return Enforced(place.activity_id, error)
        return Enforced(place.activity_id, done)

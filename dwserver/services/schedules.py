"""Schedules: what operators do with them, and the pass that fires what is due
(``spec/scheduling-and-maintenance.md`` §2–4)."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Any, Final

from dwserver.engine.context import Context
from dwserver.engine.model import JsonMap
from dwserver.engine.model.schedules import (
    FireKind,
    OverlapPolicy,
    Schedule,
    ScheduleEvent,
)
from dwserver.engine.schedules import changes, fires
from dwserver.engine.schedules.changes import Commands, NewSchedule
from dwserver.engine.schedules.fires import Fire
from dwserver.engine.schedules.spec import timetable_of
from dwserver.engine.transition import ScheduleChange, TermGuard, Transition
from dwserver.services.runs import RunContended, Runs
from dwserver.services.schedule_fires import Fired, FireOutcome, ScheduleFires
from dwserver.store.api import Store
from dwserver.store.schedules import DueSchedule, ScheduleCursor, ScheduleFilter

# Occurrences that one backfill makes at most (decision 11).
MAX_BACKFILL: Final = 1000
# Schedules that are read for one page of those that fulfil a query, and at once.
MAX_READ: Final = 10_000
READ_AT_ONCE: Final = 500
# Attempts at a change before the caller is told that the schedule is contended.
MAX_ATTEMPTS: Final = 10


class TooManyOccurrences(Exception):
    """A backfill would fire more than ``MAX_BACKFILL``."""


@dataclass(frozen=True, slots=True)
class Backfilled:
    """What became of one occurrence of a backfill."""

    at: int
    fired: Fired


class Schedules:
    def __init__(self, store: Store, *, runs: Runs, fires: ScheduleFires) -> None:
        self._store = store
        self._runs = runs
        self._fires = fires
        # The last schedule whose buffer had its turn in this round.
        self._drained = ""

    # reads ----------------------------------------------------------------------
    async def find(
        self, namespace: str, schedule_id: str, *, with_deleted: bool = False
    ) -> Schedule | None:
        return await self._store.find_schedule(
            namespace, schedule_id, with_deleted=with_deleted
        )

    async def find_page(
        self,
        schedule_filter: ScheduleFilter,
        *,
        after: ScheduleCursor | None,
        limit: int,
        accepts: Callable[[Schedule], bool] | None = None,
    ) -> tuple[list[Schedule], ScheduleCursor | None]:
        """A page, the newest first, and the position behind which another one follows.
        Of what ``accepts`` takes a page may be short: ``MAX_READ`` are read for it."""
        if accepts is None:
            found = await self._store.list_schedules(
                schedule_filter, after=after, limit=limit + 1
            )
            page = found[:limit]
            return page, _cursor_of(page[-1]) if len(found) > limit else None
        page = []
        for _ in range(MAX_READ // READ_AT_ONCE):
            found = await self._store.list_schedules(
                schedule_filter, after=after, limit=READ_AT_ONCE
            )
            for schedule in filter(accepts, found):
                if len(page) == limit:
                    return page, _cursor_of(page[-1])
                page.append(schedule)
            if len(found) < READ_AT_ONCE:
                return page, None
            after = _cursor_of(found[-1])
        return page, after

    async def history(
        self, schedule: Schedule, *, after: int, limit: int
    ) -> tuple[list[ScheduleEvent], bool]:
        """A page of the audit history and whether another one follows."""
        found = await self._store.schedule_events(
            schedule, after=after, limit=limit + 1
        )
        return found[:limit], len(found) > limit

    # changes --------------------------------------------------------------------
    async def create(self, new: NewSchedule, commands: Commands) -> Schedule | None:
        """None when the id is taken."""
        change = changes.create(new, commands, self._runs.context())
        is_new = await self._store.commit(Transition(schedule=change))
        return change.schedule if is_new else None

    async def update(
        self, schedule: Schedule, given: Mapping[str, Any], command: JsonMap
    ) -> Schedule | None:
        """None here and below: there is no such schedule any more."""
        return await self._change(
            schedule,
            lambda current, context: changes.update(
                current, given, command=command, context=context
            ),
        )

    async def pause(
        self, schedule: Schedule, *, note: str | None, command: JsonMap
    ) -> Schedule | None:
        return await self._change(
            schedule,
            lambda current, context: changes.pause(
                current, note=note, command=command, context=context
            ),
        )

    async def resume(
        self, schedule: Schedule, *, note: str | None, command: JsonMap
    ) -> Schedule | None:
        return await self._change(
            schedule,
            lambda current, context: changes.resume(
                current, note=note, command=command, context=context
            ),
        )

    async def delete(self, schedule: Schedule, command: JsonMap) -> Schedule | None:
        return await self._change(
            schedule,
            lambda current, context: changes.delete(
                current, command=command, context=context
            ),
        )

    async def _change(
        self,
        schedule: Schedule,
        decide: Callable[[Schedule, Context], ScheduleChange | None],
    ) -> Schedule | None:
        current: Schedule | None = schedule
        for _ in range(MAX_ATTEMPTS):
            if current is None:
                return None
            change = decide(current, self._runs.context())
            if change is None:
                return current
            if await self._store.commit(Transition(schedule=change)):
                return change.schedule
            current = await self.find(schedule.namespace, schedule.schedule_id)
        raise RunContended(schedule.schedule_id)

    # fires that operators ask for -----------------------------------------------
    async def trigger(
        self, schedule: Schedule, *, policy: OverlapPolicy | None, command: JsonMap
    ) -> Fired | None:
        """Fire now; None when there is no such schedule any more."""
        fire = Fire(
            kind=FireKind.MANUAL,
            at=self._runs.context().now,
            policy=policy,
            command=command,
        )
        return await self._fire(schedule, fire)

    async def backfill(
        self,
        schedule: Schedule,
        window: tuple[int, int],
        *,
        policy: OverlapPolicy | None,
        command: JsonMap,
    ) -> list[Backfilled]:
        """Fire what the timetable has in ``start <= t < end``, one after the other, as
        long as there is the schedule. Repeated, it meets what it has fired.

        Raises :class:`TooManyOccurrences` before anything is fired.
        """
        occurrences = timetable_of(schedule.spec).between(*window)
        chosen = list(islice(occurrences, MAX_BACKFILL + 1))
        if len(chosen) > MAX_BACKFILL:
            raise TooManyOccurrences
        done: list[Backfilled] = []
        current: Schedule = schedule
        for at in chosen:
            fire = Fire(kind=FireKind.BACKFILL, at=at, policy=policy, command=command)
            fired = await self._fire(current, fire)
            if fired is None:
                break
            done.append(Backfilled(at, fired))
            current = fired.schedule
            if current.is_deleted:
                break
        return done

    async def _fire(self, schedule: Schedule, fire: Fire) -> Fired | None:
        current: Schedule | None = schedule
        for _ in range(MAX_ATTEMPTS):
            if current is None:
                return None
            open_run_id = await self._fires.open_run(current)
            fired = await self._fires.fire(current, fire, open_run_id=open_run_id)
            if fired is not None:
                return fired
            current = await self.find(schedule.namespace, schedule.schedule_id)
        raise RunContended(schedule.schedule_id)

    # fires that are due ---------------------------------------------------------
    async def fire_due(self, term: TermGuard, *, limit: int) -> list[Fired]:
        """Drain buffers, then fire what is due, at most ``limit`` of each; what became
        of those that nothing came between."""
        draining = await self._store.draining_schedules(
            after=self._drained, limit=limit
        )
        # A buffer that cannot be drained keeps its place, not that of those behind it.
        is_full = 0 < limit == len(draining)
        self._drained = draining[-1].id if is_full else ""
        drained = await self._all(
            [self._drain(schedule, term) for schedule in draining]
        )
        due = await self._store.due_schedules(now=self._runs.context().now, limit=limit)
        fired = await self._all([self._fire_once(each, term) for each in due])
        return drained + fired

    async def _all(
        self, work: Sequence[Coroutine[Any, Any, Fired | None]]
    ) -> list[Fired]:
        """All are finished before the first error is raised."""
        answers = await asyncio.gather(*work, return_exceptions=True)
        for answer in answers:
            if isinstance(answer, BaseException):
                raise answer
        return [answer for answer in answers if isinstance(answer, Fired)]

    async def _drain(self, schedule: Schedule, term: TermGuard) -> Fired | None:
        fire = fires.next_drained(schedule, self._runs.context().now)
        return await self._fires.fire(schedule, fire, open_run_id=None, term=term)

    async def _fire_once(self, due: DueSchedule, term: TermGuard) -> Fired | None:
        schedule = due.schedule
        assert schedule.next_fire_at is not None
        fire = Fire(kind=FireKind.TICK, at=schedule.next_fire_at)
        return await self._fires.fire(
            schedule, fire, open_run_id=due.open_run_id, term=term
        )


def _cursor_of(schedule: Schedule) -> ScheduleCursor:
    return ScheduleCursor(schedule.created_at, schedule.id)


__all__ = [
    "MAX_BACKFILL",
    "Backfilled",
    "FireOutcome",
    "Fired",
    "Schedules",
    "TooManyOccurrences",
]

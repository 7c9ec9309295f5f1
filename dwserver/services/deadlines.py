"""End the runs and the activity attempts whose deadline has passed.

Source: ``spec/engine.md`` §7.1, §11; ``spec/scheduling-and-maintenance.md`` §5, §6. Any
process may do this, and several at once do no harm: the database lists what is due,
each time-out is a guarded transition, and who comes second finds it done.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import structlog

from dwserver.engine.draft import Draft
from dwserver.engine.lifecycle.activity_timeout import (
    ActivityTimedOut,
    TimeoutSkip,
    time_out_activity,
)
from dwserver.engine.run_timeout import overdue_kind, time_out_run
from dwserver.services.runs import RunContended, RunNotFound, Runs
from dwserver.services.sweeps import list_some, sweep
from dwserver.store.api import DueActivity, DueRun, Store, StoreError

# Most runs, and most activities, looked at in one pass.
BATCH = 100

# What is alive, or of a closed run, is written again and leaves the list.
_WRITTEN = (TimeoutSkip.NO_DEADLINE_EXPIRED, TimeoutSkip.RUN_ALREADY_TERMINAL)

_log = structlog.stdlib.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class _Ended:
    """What was timed out: the name and the keys of its line, and its kind."""

    event: str
    kind: str
    keys: Mapping[str, object]


class Deadlines:
    """``observe`` is told the kind of everything that was timed out."""

    def __init__(
        self,
        store: Store,
        runs: Runs,
        *,
        now: Callable[[], int],
        observe: Callable[[str], None],
    ) -> None:
        self._store = store
        self._runs = runs
        self._now = now
        self._observe = observe

    async def enforce(self) -> float | None:
        """One batch of runs and one of activities; 0 when there is probably more."""
        due = await self._store.overdue(now=self._now(), limit=BATCH)
        # A run takes its activities along.
        ended_runs = await sweep(map(self._end_run, due.runs), tell=self._report)
        written: list[_Ended | TimeoutSkip] = await sweep(
            map(self._end_due, due.activities), tell=self._report_ended
        )
        is_full = BATCH in (len(due.runs), len(due.activities))
        return 0.0 if is_full and (ended_runs or written) else None

    async def end_overdue_runs(
        self, *, limit: int
    ) -> tuple[int, list[tuple[str, RunContended | StoreError]]]:
        """How many runs were overdue, and which of them could not be ended now."""
        due = await self._store.due_runs(now=self._now(), limit=limit)
        outcomes = await asyncio.gather(*map(self._end_run_or_say_why, due))
        self._report([each for each in outcomes if isinstance(each, _Ended)])
        failures = [
            (each.run_id, outcome)
            for each, outcome in zip(due, outcomes, strict=True)
            if isinstance(outcome, RunContended | StoreError)
        ]
        return len(due), failures

    async def _end_run_or_say_why(
        self, due: DueRun
    ) -> _Ended | RunContended | StoreError | None:
        try:
            return await self._end_run(due)
        except StoreError as error:
            return error

    def _report(self, ended: Sequence[_Ended]) -> None:
        for each in ended:
            self._observe(each.kind)
        list_some(ended, _line, more="more_timed_out")

    def _report_ended(self, written: Sequence[_Ended | TimeoutSkip]) -> None:
        self._report([each for each in written if isinstance(each, _Ended)])

    async def _end_run(self, due: DueRun) -> _Ended | None:
        def end(draft: Draft) -> _Ended | None:
            kind = overdue_kind(draft)
            if kind is None or not time_out_run(draft):
                return None
            return _Ended("run_timed_out", kind, {"run_id": due.run_id})

        try:
            return await self._runs.decide(due.run_id, end)
        except (RunNotFound, RunContended):
            return None

    async def end_activity(
        self, run_id: str, step: int
    ) -> ActivityTimedOut | TimeoutSkip:
        """Time out one activity if it is overdue; ``RunContended``, ``StoreError``."""
        done = await self._end_activity(run_id, step)
        if isinstance(done, ActivityTimedOut):
            self._report([_ended(done)])
        return done

    async def _end_activity(
        self, run_id: str, step: int
    ) -> ActivityTimedOut | TimeoutSkip:

        def end(draft: Draft) -> ActivityTimedOut | TimeoutSkip:
            done = time_out_activity(draft, step)
            if done is TimeoutSkip.EXECUTION_NOT_FOUND:
                # The hot state of a run leaves out what has been dealt with.
                return TimeoutSkip.EXECUTION_ALREADY_TERMINAL
            return done

        # The hot state may not know of a heartbeat that another process renewed.
        self._runs.hot.drop(run_id)
        try:
            return await self._runs.decide(run_id, end)
        except RunNotFound:
            return TimeoutSkip.EXECUTION_NOT_FOUND

    async def _end_due(self, due: DueActivity) -> _Ended | TimeoutSkip | None:
        """None: it was not written, and may be listed again."""
        try:
            done = await self._end_activity(due.run_id, due.step)
        except RunContended:
            return None
        if isinstance(done, ActivityTimedOut):
            return _ended(done)
        return done if done in _WRITTEN else None


def _line(ended: _Ended) -> None:
    _log.info(ended.event, kind=ended.kind, **ended.keys)


def _ended(done: ActivityTimedOut) -> _Ended:
    keys = {
        "run_id": done.activity.run_id,
        "activity_id": done.activity.id,
        "is_retried": done.is_retried,
    }
    return _Ended("activity_timed_out", done.kind, keys)

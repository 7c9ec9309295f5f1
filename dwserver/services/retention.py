"""Forget closed runs that are old enough (``spec/scheduling-and-maintenance.md`` §10).

A pruned run keeps its row, so that its workflow id stays used and describe can tell
what became of it. Transactions are bounded and follow each other, and the loop rests
between its batches for a multiple of the time that the last one took: on a busy machine
that is longer, so that those who work lose little. Several processes may do this: who
comes second finds it done, and rests until the next look. Payloads in external storage
stay: they are named by what they hold, and another run may refer to the same.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum

import structlog

from dwserver.engine.wire_time import MICROS
from dwserver.services.hot_runs import HotRuns
from dwserver.services.namespaces import Namespaces
from dwserver.store.api import Store, StoreError, StoreUnavailable
from dwserver.store.retention import BEFORE_ALL, ClosedRun, RunPart

DAY = 86_400 * MICROS
# Runs that one pass of the loop prunes in a namespace.
BATCH = 100
# Runs, and events of their histories, that one transaction prunes; at least one run.
MAX_RUNS = 25
MAX_EVENTS = 2000
# Candidates that are read at once, and how often in one look; those under open runs are
# passed over. The next pass of the loop looks on behind them.
WINDOW = 200
MAX_WINDOWS = 20
# The loop rests so many times as long as it has worked, and no longer than this.
REST = 3.0
MAX_REST_SECONDS = 5.0

_log = structlog.stdlib.get_logger(__name__)


class PruneSkip(StrEnum):
    """Why a run was left as it is."""

    NOT_FOUND = "run_not_found"
    NOT_TERMINAL = "run_not_terminal"
    ARCHIVED = "run_archived"
    ANCESTOR_OPEN = "run_ancestor_open"


Outcome = Mapping[RunPart, int] | PruneSkip | StoreError
"""How many rows were deleted; why none were; or what went wrong."""


@dataclass(frozen=True, slots=True)
class Pruned:
    """What became of one run of a pass."""

    run_id: str
    outcome: Outcome


@dataclass(frozen=True, slots=True)
class Expired:
    """What a pass would prune. ``cutoff``: what closed before it is old enough.
    ``is_partial``: the look ended before it had come to the last of the old runs."""

    retention_days: int
    cutoff: int
    run_ids: tuple[str, ...]
    is_partial: bool


class Retention:
    """``default_days``: of a namespace that is not known yet. ``observe`` is told how
    many runs were pruned. ``monotonic``: seconds, to tell how long a pass took."""

    def __init__(
        self,
        store: Store,
        namespaces: Namespaces,
        hot: HotRuns,
        *,
        now: Callable[[], int],
        default_days: int,
        observe: Callable[[int], None],
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._store = store
        self._namespaces = namespaces
        self._hot = hot
        self._now = now
        self._default_days = default_days
        self._observe = observe
        self._monotonic = monotonic
        # Namespaces that were not looked at to the end, and how far the look has come.
        self._reached: dict[str, ClosedRun] = {}
        # The same of the passes that operators ask for.
        self._asked: dict[str, ClosedRun] = {}

    async def expired(self, namespace: str, *, limit: int) -> Expired:
        """What the next pass that :meth:`enforce` makes in this process would prune,
        the oldest first; StoreError."""
        days, cutoff = await self._cutoff(namespace)
        runs, end = await self._next_expired(namespace, cutoff, limit)
        run_ids = tuple(run.run_id for run in runs)
        return Expired(days, cutoff, run_ids, is_partial=end is not None)

    async def enforce(self, namespace: str, *, limit: int) -> list[Pruned]:
        """Prune what :meth:`expired` shows; StoreError when that cannot be read.

        A pass looks at ``WINDOW * MAX_WINDOWS`` old runs, and open runs may need all of
        them (as a parent its children). The next one then looks on behind them, and so
        on until the last; from there the look begins again, in the same pass. So every
        old run is looked at in some pass, and in a namespace with fewer in each."""
        _, cutoff = await self._cutoff(namespace)
        runs, end = await self._next_expired(namespace, cutoff, limit)
        went_on = self._asked.pop(namespace, None) is not None
        if end is not None and (went_on or len(runs) < limit):
            self._asked[namespace] = end
        return await self._prune_all(namespace, runs)

    async def enforce_on(self, namespace: str, run_ids: Sequence[str]) -> list[Pruned]:
        """Prune these closed runs whatever their age; each is answered once."""
        named = list(dict.fromkeys(run_ids))
        blocked = await self._store.runs_under_open_ones(named)
        # How long their histories are is not known: one after the other.
        free = [
            ClosedRun(run_id, 0, events=MAX_EVENTS)
            for run_id in named
            if run_id not in blocked
        ]
        pruned = {each.run_id: each for each in await self._prune_all(namespace, free)}
        return [
            pruned.get(run_id) or Pruned(run_id, await self._left(namespace, run_id))
            for run_id in named
        ]

    async def pass_over_all(self) -> float | None:
        """One batch of every namespace, or of those that had more than that the last
        time. Seconds to rest when there is probably more; StoreError."""
        began = self._monotonic()
        reached = self._reached
        if not reached:
            everything = await self._namespaces.find_all()
            reached = {each.name: BEFORE_ALL for each in everything}
        ends = {
            name: await self._pass_over(name, after) for name, after in reached.items()
        }
        self._reached = {name: end for name, end in ends.items() if end is not None}
        if not self._reached:
            return None
        return min(REST * (self._monotonic() - began), MAX_REST_SECONDS)

    async def _pass_over(self, namespace: str, after: ClosedRun) -> ClosedRun | None:
        """Behind which run there is probably more. Where another process was faster
        there may be, but not for this one."""
        _, cutoff = await self._cutoff(namespace)
        runs, end = await self._expired(namespace, cutoff, BATCH, after=after)
        pruned = await self._prune_all(namespace, runs)
        for each in pruned:
            if isinstance(each.outcome, StoreError):
                raise each.outcome
        count = sum(isinstance(each.outcome, Mapping) for each in pruned)
        if count:
            _log.info("runs_pruned", namespace=namespace, count=count)
        return end if count or not pruned else None

    async def _cutoff(self, namespace: str) -> tuple[int, int]:
        """Days that closed runs are kept for, and what closed before is too old."""
        found = await self._namespaces.find(namespace)
        days = found.retention_days if found else self._default_days
        return days, self._now() - days * DAY

    async def _next_expired(
        self, namespace: str, cutoff: int, limit: int
    ) -> tuple[list[ClosedRun], ClosedRun | None]:
        """What the next pass of operators prunes, and where it ends; None: all that is
        old was looked at."""
        start = self._asked.get(namespace, BEFORE_ALL)
        runs, end = await self._expired(namespace, cutoff, limit, after=start)
        if start is BEFORE_ALL or end is not None:
            return runs, end
        older, end = await self._expired(namespace, cutoff, limit - len(runs))
        known = {run.run_id for run in runs}
        return runs + [run for run in older if run.run_id not in known], end

    async def _expired(
        self,
        namespace: str,
        cutoff: int,
        limit: int,
        *,
        after: ClosedRun = BEFORE_ALL,
    ) -> tuple[list[ClosedRun], ClosedRun | None]:
        """What may be pruned, and the run behind which there may be more of it."""
        runs: list[ClosedRun] = []
        for _ in range(MAX_WINDOWS):
            window = await self._store.expired_runs(
                namespace, closed_before=cutoff, after=after, limit=WINDOW
            )
            ids = [run.run_id for run in window]
            blocked = await self._store.runs_under_open_ones(ids) if ids else set()
            runs += [run for run in window if run.run_id not in blocked]
            if len(runs) >= limit:
                return runs[:limit], runs[limit - 1]
            if len(window) < WINDOW:
                return runs, None
            after = window[-1]
        return runs, after

    async def _prune_all(
        self, namespace: str, runs: Sequence[ClosedRun]
    ) -> list[Pruned]:
        pruned: list[Pruned] = []
        for run_ids in _transactions(runs):
            pruned += await self._prune_together(namespace, run_ids)
        self._observe(sum(isinstance(each.outcome, Mapping) for each in pruned))
        return pruned

    async def _prune_together(
        self, namespace: str, run_ids: Sequence[str]
    ) -> list[Pruned]:
        """What one run is at fault for does not keep the others."""
        try:
            deleted = await self._store.prune_runs(namespace, run_ids, at=self._now())
        except StoreError as error:
            if len(run_ids) == 1 or isinstance(error, StoreUnavailable):
                return [Pruned(run_id, error) for run_id in run_ids]
            alone = [await self._prune_together(namespace, (each,)) for each in run_ids]
            return [pruned for each in alone for pruned in each]
        for run_id in deleted:
            self._hot.drop(run_id)
        return [
            Pruned(run_id, deleted.get(run_id) or await self._left(namespace, run_id))
            for run_id in run_ids
        ]

    async def _left(self, namespace: str, run_id: str) -> PruneSkip:
        view = await self._store.find_run_view(namespace, run_id)
        if view is None or view.pruned_at is not None:
            return PruneSkip.NOT_FOUND
        if not view.run.status.is_terminal:
            return PruneSkip.NOT_TERMINAL
        if view.run.archived_at is not None:
            return PruneSkip.ARCHIVED
        return PruneSkip.ANCESTOR_OPEN


def _transactions(runs: Sequence[ClosedRun]) -> Iterator[list[str]]:
    """The runs in their order, in parts that are not too large for a transaction."""
    part: list[str] = []
    events = 0
    for run in runs:
        if part and (len(part) == MAX_RUNS or events + run.events > MAX_EVENTS):
            yield part
            part, events = [], 0
        part.append(run.run_id)
        events += run.events
    if part:
        yield part

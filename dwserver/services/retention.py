"""Forget closed runs that are old enough (``spec/scheduling-and-maintenance.md`` §10).

A pruned run keeps its row, so that its workflow id stays used and describe can tell
what became of it. Each run is pruned in a transaction of its own, a few at once, so
that others may write meanwhile. Several processes may do this: who comes second finds
it done. Payloads in external storage stay: they are named by what they hold, and
another run may refer to the same.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum

import structlog

from dwserver.services.hot_runs import HotRuns
from dwserver.services.namespaces import Namespaces
from dwserver.store.api import Store, StoreError
from dwserver.store.retention import BEFORE_ALL, ClosedRun, RunPart

MICROS = 1_000_000
DAY = 86_400 * MICROS
# Runs that one pass of the loop prunes in a namespace.
BATCH = 100
# Candidates that are read at once; those under open runs are passed over.
WINDOW = 200
MAX_WINDOWS = 20
AT_ONCE = 4

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
    """What a pass would prune. ``cutoff``: what closed before it is old enough."""

    retention_days: int
    cutoff: int
    run_ids: tuple[str, ...]


class Retention:
    """``default_days``: of a namespace that is not known yet. ``observe`` is told how
    many runs were pruned."""

    def __init__(
        self,
        store: Store,
        namespaces: Namespaces,
        hot: HotRuns,
        *,
        now: Callable[[], int],
        default_days: int,
        observe: Callable[[int], None],
    ) -> None:
        self._store = store
        self._namespaces = namespaces
        self._hot = hot
        self._now = now
        self._default_days = default_days
        self._observe = observe

    async def expired(self, namespace: str, *, limit: int) -> Expired:
        """What the next pass would prune, the oldest first; StoreError."""
        found = await self._namespaces.find(namespace)
        days = found.retention_days if found else self._default_days
        cutoff = self._now() - days * DAY
        run_ids: list[str] = []
        async for window in self._windows(namespace, cutoff):
            blocked = await self._store.runs_under_open_ones(window)
            run_ids += [run_id for run_id in window if run_id not in blocked]
            if len(run_ids) >= limit:
                break
        return Expired(days, cutoff, tuple(run_ids[:limit]))

    async def enforce(self, namespace: str, *, limit: int) -> list[Pruned]:
        """Prune what has expired; StoreError when that cannot be read."""
        expired = await self.expired(namespace, limit=limit)
        return await self._prune_all(namespace, expired.run_ids)

    async def enforce_on(self, namespace: str, run_ids: Sequence[str]) -> list[Pruned]:
        """Prune these closed runs whatever their age; each is answered once."""
        named = list(dict.fromkeys(run_ids))
        blocked = await self._store.runs_under_open_ones(named)
        free = [run_id for run_id in named if run_id not in blocked]
        pruned = {each.run_id: each for each in await self._prune_all(namespace, free)}
        return [
            pruned.get(run_id) or Pruned(run_id, await self._left(namespace, run_id))
            for run_id in named
        ]

    async def pass_over_all(self) -> float | None:
        """One batch of every namespace; 0 when there is probably more."""
        is_full = False
        for namespace in await self._namespaces.find_all():
            pruned = await self.enforce(namespace.name, limit=BATCH)
            for each in pruned:
                if isinstance(each.outcome, StoreError):
                    raise each.outcome
            count = sum(isinstance(each.outcome, Mapping) for each in pruned)
            if count:
                _log.info("runs_pruned", namespace=namespace.name, count=count)
            is_full = is_full or count == BATCH
        return 0.0 if is_full else None

    async def _windows(
        self, namespace: str, cutoff: int
    ) -> AsyncIterator[Sequence[str]]:
        last = BEFORE_ALL
        for _ in range(MAX_WINDOWS):
            found: list[ClosedRun] = await self._store.expired_runs(
                namespace, closed_before=cutoff, after=last, limit=WINDOW
            )
            if found:
                yield [run.run_id for run in found]
            if len(found) < WINDOW:
                return
            last = found[-1]

    async def _prune_all(self, namespace: str, run_ids: Sequence[str]) -> list[Pruned]:
        turns = asyncio.Semaphore(AT_ONCE)

        async def prune(run_id: str) -> Pruned:
            async with turns:
                return Pruned(run_id, await self._prune(namespace, run_id))

        pruned = list(await asyncio.gather(*map(prune, run_ids)))
        self._observe(sum(isinstance(each.outcome, Mapping) for each in pruned))
        return pruned

    async def _prune(self, namespace: str, run_id: str) -> Outcome:
        try:
            deleted = await self._store.prune_run(namespace, run_id, at=self._now())
            self._hot.drop(run_id)
            return (
                deleted if deleted is not None else await self._left(namespace, run_id)
            )
        except StoreError as error:
            return error

    async def _left(self, namespace: str, run_id: str) -> PruneSkip:
        view = await self._store.find_run_view(namespace, run_id)
        if view is None or view.pruned_at is not None:
            return PruneSkip.NOT_FOUND
        if not view.run.status.is_terminal:
            return PruneSkip.NOT_TERMINAL
        if view.run.archived_at is not None:
            return PruneSkip.ARCHIVED
        return PruneSkip.ANCESTOR_OPEN

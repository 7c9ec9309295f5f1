"""One pass over what does not move, as an operator asks for it
(``spec/scheduling-and-maintenance.md`` §8.4).

The loops do the same without being asked: leases that are over, deadlines, and the
sweep of the waiting polls. A pass ends what they have not come to yet, announces tasks
that nobody takes, and says what it found.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from dwserver.engine.draft import Draft
from dwserver.engine.lifecycle.activity_timeout import ActivityTimedOut
from dwserver.engine.lifecycle.repair import mend_task
from dwserver.engine.wire_time import MICROS
from dwserver.services.activity_timeouts import ActivityTimeouts, Enforced
from dwserver.services.deadlines import Deadlines
from dwserver.services.repair_selection import RepairSelection, select
from dwserver.services.runs import RunContended, RunNotFound, Runs
from dwserver.store.api import Store, StoreError
from dwserver.store.repair import RepairCandidate

THROTTLE = "repair-pass"
# What scope keys call the one place where tasks wait.
CONNECTION = "default"

Failure = RunContended | StoreError


@dataclass(frozen=True, slots=True)
class RepairScopeFilter:
    """What a pass is about: these runs and the current run of this workflow id; all of
    all namespaces when neither is given. ``connection`` and ``queue``: comma-separated
    names of what the tasks must be in; all when None. There is one connection."""

    namespace: str
    run_ids: tuple[str, ...] = ()
    workflow_id: str | None = None
    connection: str | None = None
    queue: str | None = None

    @property
    def is_narrow(self) -> bool:
        return bool(self.run_ids) or self.workflow_id is not None

    def admits(self, candidate: RepairCandidate) -> bool:
        connections, queues = _names(self.connection), _names(self.queue)
        return (not connections or CONNECTION in connections) and (
            not queues or candidate.queue in queues
        )


def _names(listed: str | None) -> set[str]:
    return {name.strip() for name in (listed or "").split(",") if name.strip()}


@dataclass(frozen=True, slots=True, kw_only=True)
class RepairReport:
    """``failures``: by task id, by run id and by activity id; their candidates are left
    for the next pass."""

    is_throttled: bool = False
    selection: RepairSelection = field(default_factory=lambda: select((), scan_limit=1))
    repaired: int = 0
    task_failures: tuple[tuple[str, Failure], ...] = ()
    overdue_runs: int = 0
    run_failures: tuple[tuple[str, Failure], ...] = ()
    overdue_activities: tuple[Enforced, ...] = ()

    @property
    def activities_enforced(self) -> int:
        return sum(
            isinstance(each.outcome, ActivityTimedOut)
            for each in self.overdue_activities
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class RepairPolicy:
    """A ready task that nobody takes is looked after when it is
    ``redispatch_after_seconds`` overdue; a pass keeps others from beginning for
    ``loop_throttle_seconds``; ``scan_limit``: most candidates of one family in it."""

    redispatch_after_seconds: int
    loop_throttle_seconds: int
    scan_limit: int
    failure_backoff_max_seconds: int


class TaskRepair:
    """``holder``: the name of this process."""

    def __init__(
        self,
        store: Store,
        runs: Runs,
        *,
        deadlines: Deadlines,
        timeouts: ActivityTimeouts,
        now: Callable[[], int],
        holder: str,
        policy: RepairPolicy,
    ) -> None:
        self._store = store
        self._runs = runs
        self._deadlines = deadlines
        self._timeouts = timeouts
        self._now = now
        self._holder = holder
        self.policy = policy

    async def candidates(self, namespace: str | None = None) -> RepairSelection:
        """What the next pass would look after, of all namespaces or if it were about
        one; StoreError."""
        return await self._select(None, namespace=namespace)

    async def run_pass(
        self, about: RepairScopeFilter, *, respects_throttle: bool
    ) -> RepairReport:
        """Look after what does not move. A throttled pass does nothing; any other one
        throttles those that follow. StoreError when candidates cannot be read."""
        is_first = await self._store.acquire_leadership(
            THROTTLE, self._holder, duration=self.policy.loop_throttle_seconds * MICROS
        )
        if respects_throttle and is_first is None:
            return RepairReport(is_throttled=True)
        run_ids = await self._run_ids(about)
        selection = await self._select(run_ids, admits=about.admits)
        mended = await asyncio.gather(*map(self._mend, selection.selected))
        failures = [
            (candidate.task_id, outcome)
            for candidate, outcome in zip(selection.selected, mended, strict=True)
            if isinstance(outcome, Exception)
        ]
        limit = self.policy.scan_limit
        overdue_runs, run_failures = await self._deadlines.end_overdue_runs(limit=limit)
        return RepairReport(
            selection=selection,
            repaired=sum(outcome is True for outcome in mended),
            task_failures=tuple(failures),
            overdue_runs=overdue_runs,
            run_failures=tuple(run_failures),
            overdue_activities=tuple(await self._timeouts.enforce(limit=limit)),
        )

    async def _run_ids(self, about: RepairScopeFilter) -> Sequence[str] | None:
        if not about.is_narrow:
            return None
        run_ids = list(about.run_ids)
        if about.workflow_id is not None:
            instance = await self._store.find_instance(
                about.namespace, about.workflow_id
            )
            run_ids += [instance.current_run_id] if instance is not None else []
        return run_ids

    async def _select(
        self,
        run_ids: Sequence[str] | None,
        *,
        namespace: str | None = None,
        admits: Callable[[RepairCandidate], bool] = lambda _: True,
    ) -> RepairSelection:
        now = self._now()
        overdue_before = now - self.policy.redispatch_after_seconds * MICROS
        found = await self._store.repair_candidates(
            now=now,
            overdue_before=overdue_before,
            run_ids=run_ids,
            namespace=namespace,
        )
        return select(filter(admits, found), scan_limit=self.policy.scan_limit)

    async def _mend(self, candidate: RepairCandidate) -> bool | Failure:
        def mend(draft: Draft) -> bool:
            return mend_task(draft, candidate.task_id)

        # The hot state may not know of a renewal by another process.
        self._runs.hot.drop(candidate.run_id)
        try:
            return await self._runs.decide(candidate.run_id, mend)
        except RunNotFound:
            return False
        except (RunContended, StoreError) as error:
            return error

"""What operators measure a namespace by (``spec/topology-and-operations.md`` §4.2–4.3).

Every figure comes from the database, and none is read from more rows than the bounds
below allow: asking costs about the same however much there is. Past a bound a figure
says "at least so many".
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Final

from dwserver.engine.wire_time import MICROS
from dwserver.protocol.manifests.limits import StructuralLimits
from dwserver.runtime.ids import id_bound
from dwserver.services.repair_selection import RepairSelection
from dwserver.services.task_repair import RepairPolicy, TaskRepair
from dwserver.services.workers import Workers
from dwserver.store.api import Store, WorkerRegistration
from dwserver.store.figures import (
    FailingType,
    FigureQuery,
    HistoryBudget,
    OperatorFigures,
    ReadyTasks,
)
from dwserver.store.schedules import ScheduleSummary
from dwserver.topology.identity import MatchingSettings

# Rows that one figure looks at, and closed runs whose histories are added up.
MAX_ROWS: Final = 100_000
MAX_HISTORIES: Final = 10_000
RECENT: Final = 60 * MICROS
# A task that was leased in the last minute was seldom made before that.
MADE_WITHIN: Final = 600 * MICROS
ANY_MARKER: Final = "*"


@dataclass(frozen=True, slots=True, kw_only=True)
class HistoryThresholds:
    """From which size on a history is reported, as :class:`HistoryBudget` says; fan
    out: the widest batch of a run."""

    budget: HistoryBudget
    fan_out: int
    warning_fan_out: int


@dataclass(frozen=True, slots=True, kw_only=True)
class MetricsFacts:
    """What the answering node is set to; shown beside the figures. ``required``: the
    marker that new runs get; ``fleet``: whose markers they are, when several fleets
    share a database; ``marker_ttl``: how long a worker is shown to support its marker
    (microseconds). ``failing_types``: most types that are listed."""

    matching: MatchingSettings
    structural_limits: StructuralLimits
    history: HistoryThresholds
    update_wait_seconds: int
    update_poll_ms: int
    database_driver: str
    cache_store: str
    required: str | None
    fleet: str | None
    fails_validation: bool
    marker_ttl: int
    failing_types: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Acceleration:
    """Whether news travel between the processes; ``why_not`` says what is missing."""

    is_multi_node: bool
    why_not: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class OperatorSnapshot:
    """``blocked``: of the ready tasks those whose marker no live worker of their queue
    has. ``workers``: the live ones. ``now``: when all this was so."""

    now: int
    figures: OperatorFigures
    blocked: tuple[ReadyTasks, ...]
    repair: RepairSelection
    schedules: ScheduleSummary
    workers: tuple[WorkerRegistration, ...]


class OperatorMetrics:
    """``acceleration``: as this process knows it now."""

    def __init__(
        self,
        store: Store,
        *,
        workers: Workers,
        repair: TaskRepair,
        now: Callable[[], int],
        node: MetricsFacts,
        acceleration: Callable[[], Acceleration],
    ) -> None:
        self._store = store
        self._workers = workers
        self._repair = repair
        self._now = now
        self.node = node
        self.acceleration = acceleration

    @property
    def repair_policy(self) -> RepairPolicy:
        return self._repair.policy

    async def snapshot(self, namespace: str) -> OperatorSnapshot:
        """The figures of a namespace; StoreError."""
        now = self._now()
        figures = await self._store.operator_figures(self._query(namespace, now))
        workers = [
            worker
            for worker in await self._workers.find_all(namespace)
            if self._workers.status(worker) != "stale"
        ]
        return OperatorSnapshot(
            now=now,
            figures=figures,
            blocked=tuple(unserved(figures.ready, workers)),
            repair=await self._repair.candidates(namespace),
            schedules=await self._store.summarise_schedules(namespace, now=now),
            workers=tuple(sorted(workers, key=lambda w: (w.task_queue, w.worker_id))),
        )

    async def failing_types(self, namespace: str) -> list[FailingType]:
        """Workflow types whose workflow tasks fail again and again, the worst first;
        StoreError."""
        return await self._store.failing_types(
            namespace, rows=MAX_ROWS, limit=self.node.failing_types
        )

    def _query(self, namespace: str, now: int) -> FigureQuery:
        overdue_after = self._repair.policy.redispatch_after_seconds * MICROS
        return FigureQuery(
            namespace=namespace,
            now=now,
            overdue_before=now - overdue_after,
            recent_since=now - RECENT,
            first_id=id_bound((now - MADE_WITHIN) // 1000),
            # The clocks of other processes may be ahead.
            end_id=id_bound((now + RECENT) // 1000),
            budget=self.node.history.budget,
            rows=MAX_ROWS,
            histories=MAX_HISTORIES,
        )


def unserved(
    ready: Iterable[ReadyTasks], workers: Iterable[WorkerRegistration]
) -> list[ReadyTasks]:
    """Marked tasks that none of these workers may take."""
    served = {(worker.task_queue, worker.build_id) for worker in workers}
    return [
        group
        for group in ready
        if group.compatibility is not None
        and not {
            (group.queue, group.compatibility),
            (group.queue, ANY_MARKER),
        }
        & served
    ]

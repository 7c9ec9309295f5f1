"""Draining and resuming the workers of a build
(``spec/topology-and-operations.md §5.7, §5.8``)."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Final

from dwserver.engine.routing.rollouts import RANKS, RolloutStatus, rollout_status
from dwserver.services.operator_metrics import MAX_ROWS
from dwserver.services.workers import Workers
from dwserver.store.api import Store
from dwserver.store.rollouts import CohortKey, CohortWorkers, QueueName, Rollout

# Queues with a drain that are shown, and cohorts of what is shown.
MAX_QUEUES: Final = 1_000
MAX_COHORTS: Final = 10_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Cohort:
    """The workers of a queue with one build id, and what is wanted of them. Instants
    are None when there is no worker."""

    key: CohortKey
    status: RolloutStatus
    is_draining: bool
    drained_at: int | None
    active: int
    draining: int
    stale: int
    runtimes: tuple[str, ...]
    sdk_versions: tuple[str, ...]
    last_heartbeat_at: int | None
    first_seen_at: int | None


class BuildRollouts:
    """Intents are in the database; a worker learns of its own when it registers or is
    heard of."""

    def __init__(
        self, store: Store, *, workers: Workers, now: Callable[[], int]
    ) -> None:
        self._store = store
        self._workers = workers
        self._now = now

    async def drain(self, cohort: CohortKey) -> Rollout:
        """Let no worker of the cohort begin anything new; whether there is one does not
        matter. A repeat keeps ``drained_at``."""
        return await self._store.put_rollout(cohort, is_draining=True, at=self._now())

    async def resume(self, cohort: CohortKey) -> Rollout:
        """Undo it; the workers that drain are active again at once."""
        rollout = await self._store.put_rollout(
            cohort, is_draining=False, at=self._now()
        )
        # Afterwards, so that a heartbeat in between cannot bring the old intent back.
        resumed = await self._store.resume_workers(cohort)
        self._workers.changed(cohort.namespace, resumed)
        return rollout

    async def of_queue(self, namespace: str, queue: str) -> list[Cohort]:
        """Cohorts with a worker, or that anything was ever wanted of; see
        :func:`in_order`."""
        return await self._cohorts([QueueName(namespace, queue)])

    async def drained_queues(
        self, namespace: str | None = None
    ) -> dict[QueueName, list[Cohort]]:
        """All cohorts of the queues with a drain, the latest drain first; None: of all
        namespaces."""
        queues = await self._store.list_draining_queues(
            namespace, rows=MAX_ROWS, limit=MAX_QUEUES
        )
        found: dict[QueueName, list[Cohort]] = {queue: [] for queue in queues}
        if queues:
            for cohort in await self._cohorts(queues):
                found[QueueName(*cohort.key[:2])].append(cohort)
        return found

    async def names_of_drained(self, namespace: str) -> frozenset[str]:
        """Queues of a namespace with a drain."""
        queues = await self._store.list_draining_queues(
            namespace, rows=MAX_ROWS, limit=MAX_ROWS
        )
        return frozenset(each.queue for each in queues)

    async def _cohorts(self, queues: Sequence[QueueName]) -> list[Cohort]:
        wanted = await self._store.list_rollouts(queues, limit=MAX_COHORTS)
        workers = await self._store.list_cohort_workers(
            queues, silent_since=self._workers.silent_since(), rows=MAX_ROWS
        )
        return in_order(cohorts(wanted, workers))[:MAX_COHORTS]


def cohorts(
    wanted: Iterable[Rollout], workers: Iterable[CohortWorkers]
) -> list[Cohort]:
    """Intents and workers brought together, in no order."""
    intents = {rollout.cohort: rollout for rollout in wanted}
    groups: defaultdict[CohortKey, list[CohortWorkers]] = defaultdict(list)
    for each in workers:
        groups[each.cohort].append(each)
    return [
        _cohort(key, intents.get(key), groups.get(key, ()))
        for key in dict.fromkeys((*groups, *intents))
    ]


def _cohort(
    key: CohortKey, rollout: Rollout | None, groups: Sequence[CohortWorkers]
) -> Cohort:
    is_draining = rollout is not None and rollout.is_draining
    counts = {
        status: sum(getattr(group, status) for group in groups)
        for status in ("active", "draining", "stale")
    }
    return Cohort(
        key=key,
        status=rollout_status(is_draining=is_draining, **counts),
        is_draining=is_draining,
        drained_at=rollout.drained_at if rollout else None,
        runtimes=tuple(sorted({group.runtime for group in groups})),
        sdk_versions=tuple(sorted({g.sdk_version for g in groups if g.sdk_version})),
        last_heartbeat_at=max((g.last_heartbeat_at for g in groups), default=None),
        first_seen_at=min((g.first_seen_at for g in groups), default=None),
        **counts,
    )


def in_order(found: Iterable[Cohort]) -> list[Cohort]:
    """By status, those with a build id first, those heard of last first."""
    return sorted(
        found,
        key=lambda cohort: (
            RANKS[cohort.status],
            cohort.key.build_id is None,
            -(cohort.last_heartbeat_at or 0),
            cohort.key,
        ),
    )

"""What the Store keeps of build-id rollouts (``spec/topology-and-operations.md`` §5.7).

A cohort is what is registered for a task queue with one build id, or with none. An
operator's intent to drain it stands in a row of its own, which outlives its workers;
registrations take it over whenever they are written or heard of.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple, Protocol

Columns = Mapping[str, Any]


class QueueName(NamedTuple):
    """A task queue, whatever the kind of its tasks."""

    namespace: str
    queue: str


class CohortKey(NamedTuple):
    """``build_id`` None: the workers that were registered without one."""

    namespace: str
    queue: str
    build_id: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Rollout:
    """What operators want of a cohort. ``drained_at``: since when it is drained, None
    when it is not."""

    cohort: CohortKey
    is_draining: bool
    drained_at: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class CohortWorkers:
    """Registrations of a cohort with one runtime and SDK. Those that have been silent
    are ``stale``, whatever they were written with."""

    cohort: CohortKey
    runtime: str
    sdk_version: str | None
    active: int
    draining: int
    stale: int
    first_seen_at: int
    last_heartbeat_at: int


class Rollouts(Protocol):
    """Part of :class:`dwserver.store.api.Store`."""

    async def put_rollout(
        self, cohort: CohortKey, *, is_draining: bool, at: int
    ) -> Rollout:
        """Note what is wanted of a cohort, whether or not it has workers; a repeat
        leaves ``drained_at`` as it is. Registrations are not touched."""
        ...

    async def resume_workers(self, cohort: CohortKey) -> list[str]:
        """Let draining registrations of the cohort be active; their worker ids."""
        ...

    async def list_rollouts(
        self, queues: Sequence[QueueName], *, limit: int
    ) -> list[Rollout]:
        """What is wanted of the queues' cohorts, in no order."""
        ...

    async def list_cohort_workers(
        self, queues: Sequence[QueueName], *, silent_since: int, rows: int
    ) -> list[CohortWorkers]:
        """At most ``rows`` registrations of the queues, added up; silent are those that
        were last heard of at ``silent_since`` or before."""
        ...

    async def list_draining_queues(
        self, namespace: str | None, *, rows: int, limit: int
    ) -> list[QueueName]:
        """Queues with a cohort that is drained, the latest first, among at most
        ``rows`` such cohorts; None: of all namespaces."""
        ...


def to_rollouts(rows: Iterable[Columns]) -> list[Rollout]:
    return [to_rollout(row) for row in rows]


def to_rollout(row: Columns) -> Rollout:
    return Rollout(
        cohort=_cohort(row),
        is_draining=row["drain_intent"] == "draining",
        drained_at=row["drained_at"],
    )


def to_cohort_workers(rows: Iterable[Columns]) -> list[CohortWorkers]:
    return [
        CohortWorkers(
            cohort=_cohort(row),
            runtime=row["runtime"],
            sdk_version=row["sdk_version"],
            active=row["active"],
            draining=row["draining"],
            stale=row["stale"],
            first_seen_at=row["first_seen_at"],
            last_heartbeat_at=row["last_heartbeat_at"],
        )
        for row in rows
    ]


def _cohort(row: Columns) -> CohortKey:
    return CohortKey(row["namespace"], row["task_queue"], row["build_id"] or None)


def rollout_row(cohort: CohortKey, *, is_draining: bool, at: int) -> tuple[object, ...]:
    """What ``put_rollout`` takes."""
    intent, drained_at = ("draining", at) if is_draining else ("active", None)
    return (*cohort[:2], cohort.build_id or "", intent, drained_at, at)

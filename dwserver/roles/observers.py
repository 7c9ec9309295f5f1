"""Counters of matching, queries and commits, as the observers that those expect."""

from __future__ import annotations

from dwserver.engine.transition import RunChange
from dwserver.runtime.metrics import Metrics


class MatchingMetrics:
    def __init__(self, metrics: Metrics) -> None:
        self._metrics = metrics

    def handed_off(self, kind: str) -> None:
        self._metrics.tasks_leased.inc(kind, "handoff")

    def claimed(self, kind: str) -> None:
        self._metrics.tasks_leased.inc(kind, "claim")

    def round_finished(self, candidates: int) -> None:
        self._metrics.claim_rounds.inc()


class QueryTaskMetrics:
    def __init__(self, metrics: Metrics) -> None:
        self._metrics = metrics

    def pending(self, count: int) -> None:
        self._metrics.query_tasks_pending.set(to=count)

    def lease_expired(self) -> None:
        self._metrics.leases_expired.inc("query")


class CommitMetrics:
    def __init__(self, metrics: Metrics) -> None:
        self._metrics = metrics

    def committed(self, change: RunChange) -> None:
        """Commits are counted by the store; runs are not a label."""

    def conflicted(self) -> None:
        self._metrics.transition_conflicts.inc()


class LeadershipMetrics:
    def __init__(self, metrics: Metrics) -> None:
        self._metrics = metrics

    def leads(self, name: str, term: int) -> None:
        self._metrics.leader_term.set(name, to=term)


class FireMetrics:
    def __init__(self, metrics: Metrics) -> None:
        self._metrics = metrics

    def fired(self, outcome: str) -> None:
        self._metrics.schedule_fires.inc(outcome)

    def fired_late(self, seconds: float) -> None:
        self._metrics.schedule_lag_seconds.observe(value=seconds)

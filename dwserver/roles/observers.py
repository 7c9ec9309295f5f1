"""Counters of the parts of a process, as the observers that those expect."""

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


class CoordinationMetrics:
    def __init__(self, metrics: Metrics) -> None:
        self._metrics = metrics
        self.redis_is_up(True)

    def redis_is_up(self, is_up: bool) -> None:
        self._metrics.redis_up.set(to=int(is_up))
        if not is_up:
            self._metrics.redis_outages.inc()

    def sent(self, keys: int) -> None:
        self._metrics.wake_messages.inc()
        self._metrics.wake_signals.inc("sent", amount=keys)

    def heard(self, keys: int) -> None:
        self._metrics.wake_signals.inc("heard", amount=keys)

    def dropped(self, keys: int) -> None:
        self._metrics.wake_signals.inc("dropped", amount=keys)


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

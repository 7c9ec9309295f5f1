"""Counters of matching and of commits, as the observers that those parts expect."""

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


class CommitMetrics:
    def __init__(self, metrics: Metrics) -> None:
        self._metrics = metrics

    def committed(self, change: RunChange) -> None:
        """Commits are counted by the store; runs are not a label."""

    def conflicted(self) -> None:
        self._metrics.transition_conflicts.inc()

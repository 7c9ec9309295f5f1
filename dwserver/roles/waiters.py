"""Requests of a process that wait for what a commit brings, here or elsewhere."""

from __future__ import annotations

from dataclasses import dataclass

from dwserver.config.settings import Settings
from dwserver.coordination.wake_signals import Key, Topic, WakeSignals
from dwserver.engine.wire_time import MICROS
from dwserver.engine.words import TaskKind
from dwserver.matching.matcher import Matcher
from dwserver.runtime.clock import Clock
from dwserver.services.commits import CommitObserver
from dwserver.services.history_waiters import HistoryWaiters
from dwserver.services.hot_runs import HotRuns
from dwserver.services.run_news import RunNews
from dwserver.services.update_waiters import UpdateWaiters
from dwserver.store.api import QueueKey, Store


@dataclass(frozen=True, slots=True, kw_only=True)
class Waiters:
    history: HistoryWaiters
    updates: UpdateWaiters
    news: RunNews

    @property
    def observers(self) -> tuple[CommitObserver, ...]:
        return (self.history, self.updates, self.news)

    def release_all(self) -> None:
        """End every wait (shutdown)."""
        self.history.release_all()
        self.updates.release_all()


def build_waiters(
    settings: Settings,
    store: Store,
    hot: HotRuns,
    *,
    signals: WakeSignals,
    clock: Clock,
) -> Waiters:
    news = RunNews(
        signals,
        is_known=lambda run_id: hot.get(run_id) is not None,
        now=clock.now,
        watch_duration=settings.worker_plane.wake_signal_ttl_seconds * MICROS,
    )
    recheck_seconds = settings.engine.update_wait_poll_interval_ms / 1000
    return Waiters(
        history=HistoryWaiters(news.watch),
        updates=UpdateWaiters(
            store, hot, recheck_seconds=recheck_seconds, watch=news.watch
        ),
        news=news,
    )


def hear_of_others(signals: WakeSignals, matcher: Matcher, waiters: Waiters) -> None:
    """What other processes tell wakes those who wait here."""

    def ready_task(key: Key) -> None:
        namespace, queue, kind = map(str, key)
        matcher.heard_from_elsewhere(QueueKey(namespace, queue, TaskKind(kind)))

    def run_changed(key: Key) -> None:
        waiters.history.heard_of(str(key))
        waiters.updates.heard_of(str(key))

    signals.listen(Topic.READY_TASK, ready_task)
    signals.listen(Topic.RUN_CHANGED, run_changed)
    signals.on_gap(matcher.missed_signals)
    signals.on_gap(waiters.history.missed_news)
    signals.on_gap(waiters.updates.missed_news)

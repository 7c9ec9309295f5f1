"""Who is told of the events of a run."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from dwserver.coordination.wake_signals import Hear, Key, Topic
from dwserver.engine.transition import RunChange
from dwserver.engine.words import RunStatus
from dwserver.services import run_news
from dwserver.services.run_news import RunNews
from tests.support.builders import a_change, a_run, an_event

RUN = a_run()
MINUTE = 60_000_000


@dataclass
class Signals:
    """Notes what is published; ``tell`` plays another process."""

    is_shared: bool = True
    published: list[tuple[Topic, Key]] = field(default_factory=list)
    listeners: dict[Topic, Hear] = field(default_factory=dict)
    gap: Callable[[], None] = lambda: None

    def publish(self, topic: Topic, key: Key) -> None:
        self.published.append((topic, key))

    def listen(self, topic: Topic, hear: Hear) -> None:
        self.listeners[topic] = hear

    def on_gap(self, action: Callable[[], None]) -> None:
        self.gap = action

    def watched(self, run_id: str = RUN.id) -> None:
        """A request of another process waits for the run."""
        self.listeners[Topic.RUN_WATCHED](run_id)


class Process:
    def __init__(self, *, is_shared: bool = True) -> None:
        self.signals = Signals(is_shared)
        self.known: set[str] = set()
        self.now = 0
        self.news = RunNews(
            self.signals,
            is_known=lambda run_id: run_id in self.known,
            now=lambda: self.now,
            watch_duration=MINUTE,
        )

    def commits(self, **run_fields: object) -> None:
        change = a_change(RUN, events=(an_event(3),), run_fields=run_fields)
        self.news.committed(change)

    def said(self) -> list[tuple[Topic, Key]]:
        said, self.signals.published = self.signals.published, []
        return said


CHANGED = (Topic.RUN_CHANGED, RUN.id)
WATCHED = (Topic.RUN_WATCHED, RUN.id)


def test_only_watched_runs_are_told_of() -> None:
    process = Process()
    process.commits()
    assert process.said() == []
    process.signals.watched("another")
    process.commits()
    assert process.said() == []
    process.now += run_news.JUST_LEFT
    process.signals.watched()
    process.commits()
    process.commits()
    assert process.said() == [CHANGED, CHANGED]
    process.now += MINUTE
    process.commits()
    assert process.said() == [], "the watch is over"


def test_a_change_without_events_is_no_news() -> None:
    process = Process()
    process.signals.watched()
    process.news.committed(RunChange(run=RUN, base_version=1))
    assert process.said() == []


def test_a_watch_of_what_has_just_happened_is_answered() -> None:
    process = Process()
    process.known.add(RUN.id)
    process.signals.watched()
    assert process.said() == [CHANGED]
    process.known.clear()
    process.signals.watched()
    assert process.said() == []
    process.commits(status=RunStatus.COMPLETED)
    process.said()
    process.signals.watched()
    assert process.said() == [CHANGED]
    process.now += run_news.JUST_LEFT
    process.signals.watched()
    assert process.said() == []


def test_a_wait_that_goes_on_is_told_now_and_then() -> None:
    process = Process()
    for _ in range(10):
        process.news.watch(RUN.id)
    assert process.said() == [WATCHED]
    process.now += MINUTE // 3
    process.news.watch(RUN.id)
    assert process.said() == [WATCHED]
    process.signals.gap()
    process.news.watch(RUN.id)
    assert process.said() == [WATCHED], "nobody may have heard the one before"


def test_what_is_remembered_is_bounded() -> None:
    process = Process()
    for number in range(run_news.MAX_RUNS + 1):
        process.signals.watched(f"run-{number}")
    process.signals.watched()
    process.commits()
    assert process.said() == [CHANGED]
    assert len(process.news._watched._until) == run_news.MAX_RUNS


def test_a_lone_process_says_nothing() -> None:
    process = Process(is_shared=False)
    process.news.watch(RUN.id)
    process.commits(status=RunStatus.COMPLETED)
    assert process.said() == []

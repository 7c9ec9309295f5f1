"""Wake signals: what one process tells the others so that nobody has to look.

A signal says that something *may* have happened; whoever hears it looks in the
database. Losing signals costs latency, never correctness: everything that is woken
also looks by itself from time to time.
"""

from __future__ import annotations

from collections.abc import Callable
from enum import StrEnum
from typing import Protocol, TypeAlias

Key: TypeAlias = str | tuple[str | int, ...]
"""What a signal is about: JSON scalars."""

Hear: TypeAlias = Callable[[Key], None]


class Topic(StrEnum):
    """What happened; the values are on the wire between processes."""

    # (namespace, queue, kind): a ready task that nobody took where it was committed.
    READY_TASK = "task"
    # Run id: somebody waits for its next event.
    RUN_WATCHED = "watch"
    # Run id, of a watched run: it has new events.
    RUN_CHANGED = "run"
    # (namespace, queue): a query waits for a worker.
    QUERY_ASKED = "query"
    # Query task id: it has ended.
    QUERY_ENDED = "answer"
    # (request digest, …): what was leased to a poll with a poll_request_id.
    POLL_ANSWERED = "poll"
    # (namespace, worker id): the worker has registered anew, or left.
    WORKER_CHANGED = "worker"


class WakeSignals(Protocol):
    """``publish`` never blocks and never raises."""

    @property
    def is_shared(self) -> bool:
        """Whether other processes can hear."""
        ...

    def publish(self, topic: Topic, key: Key) -> None:
        """Tell the other processes, soon and together with what else there is."""
        ...

    def listen(self, topic: Topic, hear: Hear) -> None:
        """Be told what other processes publish from now on; ``hear`` must not block."""
        ...

    def on_gap(self, action: Callable[[], None]) -> None:
        """Call ``action`` when signals may have been missed."""
        ...


class SilentSignals:
    """The signals of a process that is alone: nobody is there to hear."""

    is_shared = False

    def publish(self, topic: Topic, key: Key) -> None:
        """Nobody hears it."""

    def listen(self, topic: Topic, hear: Hear) -> None:
        """Nothing comes from elsewhere."""

    def on_gap(self, action: Callable[[], None]) -> None:
        """Nothing is missed."""

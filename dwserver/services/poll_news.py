"""What polls with a ``poll_request_id`` were leased elsewhere (protocol §5.1).

A client that lost an answer may send the poll again to another process. Each process
tells the others what it leased to such polls: a digest of the request and where the
lease is, many in one message and not in a hurry, for a client repeats itself after a
time-out. Whoever gets the repeated poll reads the lease from where it is; a poll that
waits meanwhile is answered with it. What is not heard (no Redis, a lost message, a new
process) costs what it costs without a ``poll_request_id``: the lost lease runs out.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from hashlib import blake2b
from typing import Final, NamedTuple

from dwserver.coordination.wake_signals import Key, Topic, WakeSignals

MAX_NOTES: Final = 20_000


class PollRequestKey(NamedTuple):
    """``queue``: namespace, task queue and, where they differ, the kind of task."""

    queue: tuple[str, ...]
    worker_id: str
    build_id: str | None
    request_id: str

    def digest(self) -> str:
        """The same in every process."""
        words = (*self.queue, self.worker_id, self.build_id or "", self.request_id)
        return blake2b("\0".join(words).encode(), digest_size=12).hexdigest()


class LeaseNote(NamedTuple):
    """Where a lease is: the run of a task, or the namespace of a query task."""

    home: str
    task_id: str
    attempt: int
    expires_at: int


class PollNews:
    """Notes of other processes, until their leases expire; the oldest go first."""

    def __init__(self, signals: WakeSignals, *, now: Callable[[], int]) -> None:
        self._signals = signals
        self._now = now
        self._notes: OrderedDict[str, LeaseNote] = OrderedDict()
        self._expected: dict[str, Callable[[LeaseNote], None]] = {}
        signals.listen(Topic.POLL_ANSWERED, self._hear)

    @property
    def is_shared(self) -> bool:
        """Whether there are other processes that could lease something to a poll."""
        return self._signals.is_shared

    def tell(self, key: PollRequestKey, note: LeaseNote) -> None:
        """This process has leased something to the poll."""
        if self.is_shared:
            self._signals.publish(Topic.POLL_ANSWERED, (key.digest(), *note))

    def find(self, key: PollRequestKey) -> LeaseNote | None:
        """What another process has leased to the poll, as far as heard."""
        note = self._notes.get(key.digest()) if self._notes else None
        return note if note is not None and note.expires_at > self._now() else None

    @contextmanager
    def expecting(
        self, key: PollRequestKey, answer: Callable[[LeaseNote], None]
    ) -> Iterator[None]:
        """While the poll waits: ``answer`` is called with a note that comes."""
        digest = key.digest()
        self._expected[digest] = answer
        try:
            yield
        finally:
            if self._expected.get(digest) is answer:
                del self._expected[digest]

    def _hear(self, key: Key) -> None:
        digest, home, task_id = map(str, key[:3])
        note = LeaseNote(home, task_id, int(key[3]), int(key[4]))
        self._notes[digest] = note
        self._notes.move_to_end(digest)
        now = self._now()
        while self._notes:
            oldest = next(iter(self._notes.values()))
            if oldest.expires_at > now and len(self._notes) <= MAX_NOTES:
                break
            self._notes.popitem(last=False)
        answer = self._expected.get(digest)
        if answer is not None:
            answer(note)

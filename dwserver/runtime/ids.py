"""Identifiers: lower-case ULIDs, increasing within the process.

Layout: 10 characters of milliseconds since the epoch, 16 of randomness, Crockford
base 32. The last four characters count upwards from a random start that is drawn anew
each second, so that ids sort in the order in which they were made and cost two table
lookups. Ids are unique, not secret.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from typing import Protocol

ALPHABET = "0123456789abcdefghjkmnpqrstvwxyz"
ULID_LENGTH = 26

_TIME_LENGTH = 10
_FIXED_TAIL_LENGTH = 12
_PAIRS = tuple(high + low for high in ALPHABET for low in ALPHABET)
_COUNTER_LIMIT = 1 << 20
_FIXED_TAIL_LIMIT = 1 << (5 * _FIXED_TAIL_LENGTH)
_NANOSECONDS_PER_MILLISECOND = 1_000_000
# Fresh randomness costs more than an id; ids between two draws count on.
_MILLISECONDS_PER_RANDOM = 1000


class IdSource(Protocol):
    """Source of new identifiers."""

    def next(self) -> str:
        """Return an id never returned before, greater than the one before."""
        ...


class UlidSource:
    """ULIDs of this process. Not thread-safe: one source per thread."""

    __slots__ = (
        "_counter",
        "_fixed_tail",
        "_milliseconds",
        "_next_prefix_at_ns",
        "_next_random_at",
        "_prefix",
        "_random_bytes",
        "_tail",
        "_time_ns",
    )

    def __init__(
        self,
        time_ns: Callable[[], int] = time.time_ns,
        random_bytes: Callable[[int], bytes] = os.urandom,
    ) -> None:
        self._time_ns = time_ns
        self._random_bytes = random_bytes
        self._milliseconds = -1
        self._next_prefix_at_ns = 0
        self._next_random_at = 0
        self._fixed_tail = 0
        self._tail = ""
        self._counter = 0
        self._prefix = ""

    def next(self) -> str:
        """Return a new 26-character id, greater than the one before."""
        now_ns = self._time_ns()
        if now_ns >= self._next_prefix_at_ns:
            self._begin_millisecond(now_ns // _NANOSECONDS_PER_MILLISECOND)
        counter = self._counter = self._counter + 1
        if counter >= _COUNTER_LIMIT:
            counter = self._carry()
        return self._prefix + _PAIRS[counter >> 10] + _PAIRS[counter & 1023]

    def _begin_millisecond(self, milliseconds: int) -> None:
        # A clock set back keeps the millisecond that it had reached.
        self._milliseconds = milliseconds
        self._next_prefix_at_ns = (milliseconds + 1) * _NANOSECONDS_PER_MILLISECOND
        if milliseconds >= self._next_random_at:
            self._next_random_at = milliseconds + _MILLISECONDS_PER_RANDOM
            random = int.from_bytes(self._random_bytes(10), "big")
            # The upper bits of both numbers start at zero and leave room to count.
            self._fixed_tail = (random >> 20) % (_FIXED_TAIL_LIMIT >> 1)
            self._tail = _encode(self._fixed_tail, _FIXED_TAIL_LENGTH)
            self._counter = random & ((_COUNTER_LIMIT >> 1) - 1)
        self._compose_prefix()

    def _carry(self) -> int:
        """Count on in the fixed tail after a million ids of one millisecond."""
        self._fixed_tail += 1
        self._tail = _encode(self._fixed_tail, _FIXED_TAIL_LENGTH)
        self._counter = 0
        self._compose_prefix()
        return 0

    def _compose_prefix(self) -> None:
        self._prefix = _encode(self._milliseconds, _TIME_LENGTH) + self._tail


def id_bound(milliseconds: int) -> str:
    """Greater than every id that was made before this time, and than none later."""
    return _encode(milliseconds, _TIME_LENGTH)


class SequentialIds:
    """Deterministic ids for tests: 26 digits that count from `first`."""

    __slots__ = ("_next",)

    def __init__(self, first: int = 1) -> None:
        self._next = first

    def next(self) -> str:
        """Return the next number, zero-padded to the length of a ULID."""
        number = self._next
        self._next += 1
        return f"{number:0{ULID_LENGTH}d}"


def _encode(number: int, length: int) -> str:
    pairs = []
    for _ in range(length // 2):
        pairs.append(_PAIRS[number & 1023])
        number >>= 10
    return "".join(reversed(pairs))

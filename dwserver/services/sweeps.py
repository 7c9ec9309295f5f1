"""What sweeps have in common: many guarded decisions at once, of which some come to
nothing and some fail.

What came of the others is counted and told first; then the first failure is raised, so
that the loop logs it and comes again.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Sequence
from typing import Final, TypeVar

import structlog

Done = TypeVar("Done")

# Lines of one pass; counters know of all.
LISTED: Final = 20

_log = structlog.stdlib.get_logger(__name__)


async def sweep(
    work: Iterable[Awaitable[Done | None]], *, tell: Callable[[Sequence[Done]], None]
) -> list[Done]:
    """What was done; None is nothing. ``tell`` is told of it before a failure is
    raised."""
    answers = await asyncio.gather(*work, return_exceptions=True)
    done: list[Done] = []
    failures: list[BaseException] = []
    for answer in answers:
        if isinstance(answer, BaseException):
            failures.append(answer)
        elif answer is not None:
            done.append(answer)
    tell(done)
    if failures:
        raise failures[0]
    return done


def list_some(done: Sequence[Done], line: Callable[[Done], None], *, more: str) -> None:
    """A line for each of the first, and one of the event ``more`` that counts the
    others."""
    for each in done[:LISTED]:
        line(each)
    if len(done) > LISTED:
        _log.info(more, count=len(done) - LISTED)

"""Waiting for a condition with a deadline: what tests do instead of sleeping."""

from __future__ import annotations

import asyncio
import inspect
import time
from collections.abc import Awaitable, Callable
from typing import TypeVar, overload

T = TypeVar("T")

POLL_SECONDS = 0.02
# Guards against hanging; a busy machine may take its time.
PATIENCE_SECONDS = 30.0


def _failure(what: str, deadline_seconds: float, last: object) -> AssertionError:
    return AssertionError(
        f"{what or 'the condition'} did not come true within {deadline_seconds} s;"
        f" last value: {last!r}"
    )


@overload
async def eventually(
    predicate: Callable[[], Awaitable[T]],
    *,
    deadline_seconds: float = ...,
    what: str = ...,
) -> T: ...
@overload
async def eventually(
    predicate: Callable[[], T], *, deadline_seconds: float = ..., what: str = ...
) -> T: ...
async def eventually(
    predicate: Callable[[], object],
    *,
    deadline_seconds: float = PATIENCE_SECONDS,
    what: str = "",
) -> object:
    """The first true value of the predicate (plain or async), asked again and again.

    AssertionError, with the last value, when the deadline passes.
    """
    give_up_at = time.monotonic() + deadline_seconds
    while True:
        answer = predicate()
        value = await answer if inspect.isawaitable(answer) else answer
        if value:
            return value
        if time.monotonic() >= give_up_at:
            raise _failure(what, deadline_seconds, value)
        await asyncio.sleep(POLL_SECONDS)


def wait_until(
    predicate: Callable[[], T],
    *,
    deadline_seconds: float = PATIENCE_SECONDS,
    what: str = "",
) -> T:
    """:func:`eventually` for code without an event loop; it blocks the thread."""
    give_up_at = time.monotonic() + deadline_seconds
    while not (value := predicate()):
        if time.monotonic() >= give_up_at:
            raise _failure(what, deadline_seconds, value)
        time.sleep(POLL_SECONDS)
    return value

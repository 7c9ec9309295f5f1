"""A store in front of a real one: calls are counted, held, failed, or raced.

Every rule is for the next calls of one method and is used up by them.
"""

from __future__ import annotations

import asyncio
from collections import Counter, defaultdict, deque
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any, TypeAlias, cast

from dwserver.store.api import Store, StoreError
from tests.support.waiting import eventually

Call: TypeAlias = Callable[[], Awaitable[Any]]
Rule: TypeAlias = Callable[[Call], Awaitable[Any]]


class Hold:
    """Calls that have been held back so far, until :meth:`release`."""

    def __init__(self) -> None:
        self.count = 0
        self._released = asyncio.Event()

    def release(self) -> None:
        self._released.set()

    async def reached(self, count: int = 1) -> None:
        """Wait until so many calls are held."""
        await eventually(lambda: self.count >= count, what="a held call")

    async def pause(self) -> None:
        if not self._released.is_set():
            self.count += 1
            await self._released.wait()


class FaultyStore:
    """``calls``: how often each method was called."""

    def __init__(self, store: Store) -> None:
        self.real = store
        self.calls: Counter[str] = Counter()
        self._rules: defaultdict[str, deque[Rule]] = defaultdict(deque)
        self._holds: dict[str, Hold] = {}

    @property
    def store(self) -> Store:
        """This, where a store is asked for."""
        return cast(Store, self)

    def fail_next(self, method: str, error: Exception, *, times: int = 1) -> None:
        """The next calls raise; nothing is written."""

        async def fail(_: Call) -> Any:
            raise error

        self._rules[method].extend([fail] * times)

    def refuse_next_commits(self, times: int = 1) -> None:
        """The next commits find a guard that does not hold any more."""

        async def refuse(_: Call) -> bool:
            return False

        self._rules["commit"].extend([refuse] * times)

    def answer_next(self, method: str, answer: object) -> None:
        """The next call does not reach the database."""

        async def say(_: Call) -> Any:
            return answer

        self._rules[method].append(say)

    def lose_next_commit_answer(self) -> None:
        """The next commit is applied, but its caller cannot know."""

        async def lose(call: Call) -> bool:
            await call()
            raise StoreError("the connection was lost", is_applied_unknown=True)

        self._rules["commit"].append(lose)

    def before_next(self, method: str, action: Call) -> None:
        """Something happens in the database just before the next call."""

        async def race(call: Call) -> Any:
            await action()
            return await call()

        self._rules[method].append(race)

    def after_next(self, method: str, action: Call) -> None:
        """Something happens in the database just after the next call."""

        async def follow(call: Call) -> Any:
            answer = await call()
            await action()
            return answer

        self._rules[method].append(follow)

    @asynccontextmanager
    async def holding(self, method: str) -> AsyncIterator[Hold]:
        """Calls that begin in this block wait until its end, or for ``release``."""
        hold = self._holds[method] = Hold()
        try:
            yield hold
        finally:
            del self._holds[method]
            hold.release()

    def __getattr__(self, name: str) -> Any:
        real = getattr(self.real, name)

        async def call(*arguments: Any, **options: Any) -> Any:
            self.calls[name] += 1
            if (hold := self._holds.get(name)) is not None:
                await hold.pause()
            rules = self._rules[name]
            if rules:
                return await rules.popleft()(lambda: real(*arguments, **options))
            return await real(*arguments, **options)

        return call

"""Group commit: transitions that are in flight together share one write.

No timer: while writes are under way the next batch collects. Two transitions that touch
the same run or schedule or reserve the same id never meet, neither in one batch nor in
two batches under way; they follow each other in the order of their arrival.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Hashable, Mapping, Sequence
from dataclasses import fields
from functools import partial
from operator import attrgetter
from typing import Any, Generic, TypeVar

from dwserver.engine.transition import RunChange, Transition
from dwserver.store.api import StoreError, StoreUnavailable

Write = Callable[[Sequence[Transition]], Awaitable[list[bool]]]
Observe = Callable[[int, float], None]
"""Called after each write with the number of transitions and the seconds it took."""


class _Entry:
    """A transition that waits: for ``blockers`` earlier ones, then for its batch."""

    __slots__ = ("blockers", "future", "keys", "rows", "transition")

    def __init__(self, transition: Transition, future: asyncio.Future[bool]) -> None:
        self.transition = transition
        self.future = future
        self.keys = _keys_of(transition)
        self.rows = sum(map(_count_rows, transition.changes)) or 1
        self.blockers = 0


class Combiner:
    """Combines the commits of a process; ``write`` applies a batch all at once.

    A StoreError of a batch means that none of it was applied: its members are then
    written one by one, so that the one at fault fails alone. When the database cannot
    be reached, or the outcome is unknown, the error goes to all members.

    ``overlap_from``: a write starts beside one under way only when so many transitions
    wait for it; fewer are cheaper as the next batch. A write that takes longer than
    ``slow_after_seconds`` (it waits for a lock) holds nobody back.
    """

    def __init__(
        self,
        write: Write,
        *,
        max_in_flight: int = 2,
        overlap_from: int = 48,
        slow_after_seconds: float = 0.05,
        max_transitions: int = 128,
        max_rows: int = 4000,
        observe: Observe | None = None,
    ) -> None:
        self._write = write
        self._max_in_flight = max_in_flight
        self._overlap_from = overlap_from
        self._slow_after_seconds = slow_after_seconds
        self._slow: set[asyncio.Task[None]] = set()
        self._max_transitions = max_transitions
        self._max_rows = max_rows
        self._observe = observe
        self._queues: dict[Hashable, deque[_Entry]] = {}
        self._ready: deque[_Entry] = deque()
        self._flushes: set[asyncio.Task[None]] = set()
        self._is_pump_due = False
        self._is_closed = False

    async def commit(self, transition: Transition) -> bool:
        """False: a guard failed. Raises the StoreError that concerns this transition.

        A caller that is cancelled before its batch was formed withdraws; later, the
        write goes on without it.
        """
        if self._is_closed:
            raise StoreUnavailable("the store is closed")
        entry = _Entry(transition, asyncio.get_running_loop().create_future())
        self._enqueue(entry)
        return await entry.future

    async def close(self) -> None:
        """Refuse new transitions and wait for those that were accepted."""
        self._is_closed = True
        self._pump()
        while self._flushes:
            await asyncio.wait(self._flushes)

    def _enqueue(self, entry: _Entry) -> None:
        for key in entry.keys:
            queue = self._queues.get(key)
            if queue is None:
                self._queues[key] = deque((entry,))
            else:
                queue.append(entry)
                entry.blockers += 1
        if not entry.blockers:
            self._ready.append(entry)
            self._schedule_pump()

    def _schedule_pump(self) -> None:
        # Not at once: whoever else is ready to run in this turn joins the batch.
        if not self._is_pump_due and self._may_flush():
            self._is_pump_due = True
            asyncio.get_running_loop().call_soon(self._pump)

    def _may_flush(self) -> bool:
        under_way = len(self._flushes)
        if not under_way:
            return bool(self._ready)
        if not self._ready or under_way >= self._max_in_flight:
            return False
        return len(self._ready) >= self._overlap_from or len(self._slow) == under_way

    def _pump(self) -> None:
        self._is_pump_due = False
        while self._may_flush():
            batch = self._take_batch()
            if batch:
                flush = asyncio.create_task(self._flush(batch))
                self._flushes.add(flush)
                timer = asyncio.get_running_loop().call_later(
                    self._slow_after_seconds, self._on_slow, flush
                )
                flush.add_done_callback(partial(self._on_flushed, timer=timer))

    def _on_slow(self, flush: asyncio.Task[None]) -> None:
        self._slow.add(flush)
        self._pump()

    def _on_flushed(
        self, flush: asyncio.Task[None], *, timer: asyncio.TimerHandle
    ) -> None:
        timer.cancel()
        self._slow.discard(flush)
        self._flushes.discard(flush)
        self._pump()

    def _take_batch(self) -> list[_Entry]:
        batch: list[_Entry] = []
        rows = 0
        while self._ready and len(batch) < self._max_transitions:
            entry = self._ready[0]
            if entry.future.cancelled():
                self._ready.popleft()
                self._release(entry)
                continue
            if batch and rows + entry.rows > self._max_rows:
                break
            batch.append(self._ready.popleft())
            rows += entry.rows
        return batch

    def _release(self, entry: _Entry) -> None:
        """Let those go on that waited for this entry."""
        for key in entry.keys:
            queue = self._queues[key]
            queue.popleft()
            if not queue:
                del self._queues[key]
                continue
            following = queue[0]
            following.blockers -= 1
            if not following.blockers:
                self._ready.append(following)

    async def _flush(self, batch: list[_Entry]) -> None:
        try:
            await self._write_batch(batch)
        except StoreError as error:
            if len(batch) == 1 or _concerns_all(error):
                _fail(batch, error)
            else:
                await self._write_alone(batch)
        except Exception as error:
            _fail(batch, error)
        except asyncio.CancelledError:
            _fail(batch, _abandoned())
            raise
        finally:
            for entry in batch:
                self._release(entry)

    async def _write_batch(self, batch: list[_Entry]) -> None:
        clock = asyncio.get_running_loop().time
        started = clock()
        applied = await self._write([entry.transition for entry in batch])
        if self._observe is not None:
            self._observe(len(batch), clock() - started)
        for entry, is_applied in zip(batch, applied, strict=True):
            if not entry.future.done():
                entry.future.set_result(is_applied)

    async def _write_alone(self, batch: list[_Entry]) -> None:
        """One by one, until the database is gone: the rest was then not applied."""
        for position, entry in enumerate(batch):
            try:
                await self._write_batch([entry])
            except StoreError as error:
                _fail([entry], error)
                if _concerns_all(error):
                    _fail(batch[position + 1 :], StoreUnavailable(str(error)))
                    return


Key = TypeVar("Key", bound=Hashable)
Value = TypeVar("Value")


class LoadCombiner(Generic[Key, Value]):
    """Combines loads by key: one statement for all that were asked for meanwhile.

    A load that is under way is never joined: it may have read before a change that the
    caller knows of. A StoreError that does not concern all makes the keys load alone.
    """

    def __init__(
        self,
        load: Callable[[Sequence[Key]], Awaitable[Mapping[Key, Value]]],
        *,
        max_in_flight: int = 2,
        max_keys: int = 256,
    ) -> None:
        self._load = load
        self._max_in_flight = max_in_flight
        self._max_keys = max_keys
        self._waiting: dict[Key, list[asyncio.Future[Value | None]]] = {}
        self._loads: set[asyncio.Task[None]] = set()
        self._is_pump_due = False

    async def load(self, key: Key) -> Value | None:
        """The value as of now or later; None when there is none."""
        loop = asyncio.get_running_loop()
        future: asyncio.Future[Value | None] = loop.create_future()
        self._waiting.setdefault(key, []).append(future)
        if not self._is_pump_due and len(self._loads) < self._max_in_flight:
            self._is_pump_due = True
            loop.call_soon(self._pump)
        return await future

    async def close(self) -> None:
        """Wait for the loads that were asked for."""
        self._pump()
        while self._loads:
            await asyncio.wait(self._loads)

    def _pump(self) -> None:
        self._is_pump_due = False
        while self._waiting and len(self._loads) < self._max_in_flight:
            keys = list(self._waiting)[: self._max_keys]
            batch = {key: self._waiting.pop(key) for key in keys}
            task = asyncio.create_task(self._run(batch))
            self._loads.add(task)
            task.add_done_callback(self._on_loaded)

    def _on_loaded(self, task: asyncio.Task[None]) -> None:
        self._loads.discard(task)
        self._pump()

    async def _run(self, batch: dict[Key, list[asyncio.Future[Value | None]]]) -> None:
        try:
            values = await self._load(list(batch))
        except StoreError as error:
            if len(batch) > 1 and not _concerns_all(error):
                for key, futures in batch.items():
                    await self._run({key: futures})
                return
            for futures in batch.values():
                _reject(futures, error)
        except Exception as error:
            for futures in batch.values():
                _reject(futures, error)
        except asyncio.CancelledError:
            for futures in batch.values():
                _reject(futures, _abandoned())
            raise
        else:
            for key, futures in batch.items():
                for future in futures:
                    if not future.done():
                        future.set_result(values.get(key))


def _keys_of(transition: Transition) -> set[Hashable]:
    """What it must have for itself: runs and schedules by id, what is reserved or moved
    by namespace and id."""
    keys: set[Hashable] = {change.run.id for change in transition.changes}
    for instance in (*transition.new_instances, *transition.instances):
        keys.add((instance.namespace, instance.workflow_id))
    if transition.schedule is not None:
        schedule = transition.schedule.schedule
        keys.add(schedule.id)
        keys.add(("schedule", schedule.namespace, schedule.schedule_id))
    return keys


_rows_of: attrgetter[tuple[Sequence[object], ...]] = attrgetter(
    *(field.name for field in fields(RunChange) if field.default == ())
)


def _count_rows(change: RunChange) -> int:
    return 1 + sum(map(len, _rows_of(change)))


def _concerns_all(error: StoreError) -> bool:
    return isinstance(error, StoreUnavailable) or error.is_applied_unknown


def _abandoned() -> StoreError:
    return StoreUnavailable("the store was shut down", is_applied_unknown=True)


def _fail(batch: Sequence[_Entry], error: Exception) -> None:
    _reject([entry.future for entry in batch], error)


def _reject(futures: Sequence[asyncio.Future[Any]], error: Exception) -> None:
    """Each waiter gets an exception of its own: tracebacks grow where they pass."""
    for future in futures:
        if not future.done():
            future.set_exception(_copy(error))


def _copy(error: Exception) -> Exception:
    if isinstance(error, StoreError):
        return type(error)(str(error), is_applied_unknown=error.is_applied_unknown)
    return error

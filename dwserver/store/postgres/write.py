"""Writing a batch of transitions: one statement, one commit.

``READ COMMITTED`` is enough: a guard locks its row in the version it expects, and a row
that changes meanwhile is checked again after the wait for its lock.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from dwserver.engine.transition import Transition
from dwserver.store.api import StoreError
from dwserver.store.postgres.connections import Writers
from dwserver.store.postgres.errors import write_with_retries
from dwserver.store.postgres.fields import Row
from dwserver.store.postgres.rows import PARTS, RUN_PARTS, Rows
from dwserver.store.postgres.statement import locking_statement, simple_statement

_ALL_PARTS: Final = frozenset(PARTS)
_ALL_SIMPLE_PARTS: Final = frozenset(RUN_PARTS)


class StatementShapes:
    """Bounds the number of prepared statements: once ``limit`` shapes are known, a
    batch of another shape uses the narrowest known one that covers it, or all parts."""

    def __init__(self, limit: int, *, all_parts: frozenset[str] = _ALL_PARTS) -> None:
        self._limit = limit
        self._all_parts = all_parts
        self._known: set[frozenset[str]] = set()

    def choose(self, parts: frozenset[str]) -> frozenset[str]:
        if parts in self._known:
            return parts
        if len(self._known) < self._limit:
            self._known.add(parts)
            return parts
        wider = (known for known in self._known if known > parts)
        return min(wider, key=len, default=self._all_parts)


class TransitionWriter:
    """``write`` of the group commit (:class:`dwserver.store.combiner.Combiner`)."""

    def __init__(self, writers: Writers, *, max_shapes: int) -> None:
        self._writers = writers
        self._simple = StatementShapes(max_shapes // 2, all_parts=_ALL_SIMPLE_PARTS)
        self._locking = StatementShapes(max_shapes // 3)

    async def write(self, transitions: Sequence[Transition]) -> list[bool]:
        """Whether each was applied. All or none of them on a StoreError."""
        try:
            sql, arguments = self._statement(transitions)
        except (TypeError, ValueError) as error:
            raise StoreError(f"a row cannot be encoded: {error}") from error
        rows = await write_with_retries(lambda: self._writers.fetch(sql, *arguments))
        return list(rows[0][0])

    def _statement(self, transitions: Sequence[Transition]) -> tuple[str, list[object]]:
        rows = Rows(transitions)
        present = frozenset(rows.parts)
        if rows.is_simple:
            parts = self._simple.choose(present)
            return simple_statement(parts), [rows.keys, *_arrays(parts, rows)]
        parts = self._locking.choose(present)
        guards = [len(transitions), rows.run_guards, rows.locked_tasks()]
        return locking_statement(parts), [*guards, *_arrays(parts, rows)]


def _arrays(parts: frozenset[str], rows: Rows) -> list[list[Row]]:
    return [rows.parts.get(name, []) for name in PARTS if name in parts]

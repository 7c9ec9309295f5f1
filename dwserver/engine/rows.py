"""Rows of one kind in a draft: what is known, and which of it the draft writes."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from operator import attrgetter
from types import MappingProxyType
from typing import Any, ClassVar, Generic, TypeVar

Key = TypeVar("Key")
Row = TypeVar("Row")

by_id: attrgetter[str] = attrgetter("id")
by_step: attrgetter[int] = attrgetter("step")
by_sequence: attrgetter[int] = attrgetter("sequence")

_NOTHING: Any = MappingProxyType({})


class Rows(dict[Key, Row], Generic[Key, Row]):
    """A mapping of the current rows; ``new`` are inserted, ``changed`` replaced.

    A draft has one for each kind of row and writes to two or three of them: the others
    cost no more than the copy of what is known.
    """

    key: ClassVar[attrgetter[Any]]
    new: dict[Key, Row] = _NOTHING
    changed: dict[Key, Row] = _NOTHING
    writes = 0

    def add(self, row: Row) -> None:
        """A row that does not exist yet."""
        if not self.writes:
            self._begin()
        key = self.key(row)
        self[key] = self.new[key] = row
        self.writes += 1

    def put(self, row: Row) -> None:
        """The row as it is from now on."""
        if not self.writes:
            self._begin()
        key = self.key(row)
        self[key] = row
        if key in self.new:
            self.new[key] = row
        else:
            self.changed[key] = row
        self.writes += 1

    def _begin(self) -> None:
        self.new = {}
        self.changed = {}

    def written(self) -> list[Row]:
        """What this draft writes, new rows first, each in order of their writes."""
        return [*self.new.values(), *self.changed.values()]

    def settled(
        self, is_gone: Callable[[Row], bool], *, among_all: bool = False
    ) -> Mapping[Key, Row]:
        """The rows without those that are gone, looked for among all of them or among
        those written here."""
        if among_all:
            return {key: row for key, row in self.items() if not is_gone(row)}
        if not self.writes:
            return self
        kept = dict(self)
        for row in self.written():
            if is_gone(row):
                del kept[self.key(row)]
        return kept


class RowsById(Rows[str, Row]):
    key = by_id


class RowsByStep(Rows[int, Row]):
    key = by_step


class RowsBySequence(Rows[int, Row]):
    key = by_sequence

"""Rows of one kind in a draft: what is known, and which of it the draft writes."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from operator import attrgetter
from typing import Any, Generic, TypeVar

Key = TypeVar("Key")
Row = TypeVar("Row")

by_id: Callable[[Any], str] = attrgetter("id")
by_step: Callable[[Any], int] = attrgetter("step")
by_sequence: Callable[[Any], int] = attrgetter("sequence")


class Rows(dict[Key, Row], Generic[Key, Row]):
    """A mapping of the current rows; ``new`` are inserted, ``changed`` replaced."""

    __slots__ = ("changed", "key", "new", "writes")

    def __init__(self, rows: Mapping[Key, Row], key: Callable[[Row], Key]) -> None:
        super().__init__(rows)
        self.key = key
        self.new: dict[Key, Row] = {}
        self.changed: dict[Key, Row] = {}
        self.writes = 0

    def add(self, row: Row) -> None:
        """A row that does not exist yet."""
        key = self.key(row)
        self[key] = self.new[key] = row
        self.writes += 1

    def put(self, row: Row) -> None:
        """The row as it is from now on."""
        key = self.key(row)
        self[key] = row
        if key in self.new:
            self.new[key] = row
        else:
            self.changed[key] = row
        self.writes += 1

    def written(self) -> list[Row]:
        """What this draft writes, new rows first, each in order of their writes."""
        return [*self.new.values(), *self.changed.values()]

    def drop(self, is_gone: Callable[[Row], bool], *, among_all: bool) -> None:
        """Forget rows, looked for among all of them or among those written here."""
        looked_at = list(self.values()) if among_all else self.written()
        for row in looked_at:
            if is_gone(row):
                self.pop(self.key(row), None)

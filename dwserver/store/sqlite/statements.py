"""The named SQL of this dialect, as sqlite3 takes it."""

from __future__ import annotations

import re
import sqlite3
from collections.abc import Sequence
from functools import cache
from itertools import chain
from typing import Any

from dwserver.store.columns import fill_columns
from dwserver.store.sql_files import load_blocks

Row = tuple[Any, ...]

_MAX_ROWS = 64
_ROWS = "{rows}"
_ARGUMENT = re.compile(r"\$(\d+)")
_COLUMNS = re.compile(r"(?:insert into \w+|with x) \(([^)]*)\)")

_BLOCKS = load_blocks("dwserver.store.sqlite")
_PLACEHOLDER = re.compile(r"\{(\w+)\}")


def _filled(text: str) -> str:
    """With columns and other blocks in their places; what is no name of either stays,
    to be filled in for each use."""
    text = _PLACEHOLDER.sub(lambda match: _BLOCKS.get(match[1], match[0]), text)
    return _ARGUMENT.sub(r"?\1", fill_columns(text))


BLOCKS = {name: _filled(text) for name, text in _BLOCKS.items()}


@cache
def columns(name: str) -> tuple[str, ...]:
    """The columns of the rows that a block with ``{rows}`` takes, in order."""
    match = _COLUMNS.search(BLOCKS[name])
    assert match is not None, f"{name} takes no rows"
    return tuple(column.strip() for column in match[1].split(","))


def write_rows(connection: sqlite3.Connection, name: str, rows: Sequence[Row]) -> int:
    """Run a block with ``{rows}`` for any number of rows, in their order; returns how
    many rows of the table it wrote.

    Chunks have sizes of powers of two: few statements, few different texts.
    """
    # Not the cursor's count: it knows no statement that begins with ``with``.
    before = connection.total_changes
    start = 0
    while start < len(rows):
        size = min(_MAX_ROWS, 1 << (len(rows) - start).bit_length() - 1)
        chunk = rows[start : start + size]
        connection.execute(
            statement_text(name, size), tuple(chain.from_iterable(chunk))
        )
        start += size
    return connection.total_changes - before


@cache
def statement_text(name: str, count: int) -> str:
    """The text of a block with ``{rows}`` for that many rows."""
    row = f"({', '.join('?' * len(columns(name)))})"
    return BLOCKS[name].replace(_ROWS, ", ".join([row] * count))

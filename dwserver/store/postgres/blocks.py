"""The SQL blocks of this dialect, with the columns of the records filled in."""

from __future__ import annotations

import re

from dwserver.store.columns import fill_columns
from dwserver.store.sql_files import load_blocks

BLOCKS = load_blocks("dwserver.store.postgres")
"""As written in ``sql/*.sql``, with ``{…}`` where something is to be filled in."""

_PLACEHOLDER = re.compile(r"\{(\w+)\}")


def block(name: str) -> str:
    """A block ready to run: ``{run}`` and its like are columns of a record
    (``store/columns.py``), any other placeholder is the block of that name."""
    text = fill_columns(BLOCKS[name])
    return _PLACEHOLDER.sub(lambda match: block(match[1]), text)

"""Work that transitions left for after their commit: done, or put off.

Functions of a connection, called on the writer thread. Each may raise sqlite3.Error.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence

from dwserver.store.sqlite.reads import to_array
from dwserver.store.sqlite.statements import BLOCKS


def delete_outbox(connection: sqlite3.Connection, ids: Sequence[str]) -> None:
    connection.execute(BLOCKS["delete_outbox"], (to_array(ids),))


def postpone_outbox(
    connection: sqlite3.Connection, ids: Sequence[str], *, available_at: int
) -> None:
    connection.execute(BLOCKS["postpone_outbox"], (to_array(ids), available_at))

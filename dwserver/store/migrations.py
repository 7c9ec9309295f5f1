"""Numbered schema changes: loading, ordering, comparison with the ledger.

``migrations/NNNN_{pre|post}_description.sql``, per dialect and with the same file names
(``style.md §6.2``). ``pre``: before the new release runs; ``post``: after the old one
is gone. The ledger table ``schema_migrations`` holds the names that were applied; a
name there that this release does not know belongs to a newer one and is no fault.

A migration that the ledger lost, as after a partial restore, is *adoptable* when all it
does is to create tables and these are there: bootstrap records it and runs nothing.
"""

from __future__ import annotations

import re
from collections.abc import Collection
from dataclasses import dataclass
from importlib.resources import files

from dwserver.store.api import MigrationReport

LEDGER = "schema_migrations"

_FILE_NAME = re.compile(r"(?P<number>\d{4})_(pre|post)_[a-z0-9_]+\.sql")
_TABLE = re.compile(r"^create table (?:if not exists )?(\w+)", re.MULTILINE)
_CHANGE = re.compile(r"^(?:alter|delete|drop|insert|update)\b", re.MULTILINE)


class MigrationError(Exception):
    """The migration files of the package are not numbered 0001, 0002, …"""


@dataclass(frozen=True, slots=True)
class Migration:
    """One file; ``name`` is its name without the suffix."""

    name: str
    text: str

    @property
    def tables(self) -> tuple[str, ...]:
        """The tables that it creates."""
        return tuple(_TABLE.findall(self.text))

    def is_adoptable(self, tables: Collection[str]) -> bool:
        """Whether these tables show that it has run. It is one transaction: what else
        it creates is there as well."""
        is_creation = bool(self.tables) and _CHANGE.search(self.text) is None
        return is_creation and set(self.tables) <= set(tables)


@dataclass(frozen=True, slots=True)
class BootstrapReport:
    """What a bootstrap found and did.

    ``present``: applied earlier. ``pending``: were missing. ``applied``, ``adopted``:
    the pending ones that this call ran, and only recorded; none when it only planned.
    """

    present: tuple[str, ...]
    pending: tuple[str, ...]
    applied: tuple[str, ...]
    adopted: tuple[str, ...] = ()


def load_migrations(package: str) -> tuple[Migration, ...]:
    """The migrations below ``<package>/migrations`` in the order of their numbers."""
    migrations = []
    folder = files(package).joinpath("migrations")
    names = sorted(e.name for e in folder.iterdir() if e.name.endswith(".sql"))
    for number, name in enumerate(names, start=1):
        match = _FILE_NAME.fullmatch(name)
        if match is None or int(match["number"]) != number:
            raise MigrationError(f"{name} is not migration number {number:04}")
        text = folder.joinpath(name).read_text("utf-8")
        migrations.append(Migration(name.removesuffix(".sql"), text))
    return tuple(migrations)


def pending_migrations(
    migrations: Collection[Migration], applied: Collection[str]
) -> tuple[Migration, ...]:
    """Those that the ledger does not name, in order."""
    return tuple(m for m in migrations if m.name not in applied)


def all_tables(migrations: Collection[Migration]) -> tuple[str, ...]:
    """The tables that any of them creates."""
    return tuple(t for m in migrations for t in m.tables)


def expected_tables(
    migrations: Collection[Migration], applied: Collection[str]
) -> tuple[str, ...]:
    """The tables that must exist when the ledger names ``applied``."""
    return tuple(t for m in migrations if m.name in applied for t in m.tables)


def compare(
    migrations: Collection[Migration],
    applied: Collection[str] | None,
    tables: Collection[str],
) -> MigrationReport:
    """The report for a ledger (None: there is none) and the tables that exist."""
    names = applied if applied is not None else ()
    pending = pending_migrations(migrations, names)
    known = {m.name for m in migrations}
    return MigrationReport(
        has_ledger=applied is not None,
        applied=tuple(m.name for m in migrations if m.name in names),
        pending=tuple(m.name for m in pending),
        adoptable=tuple(m.name for m in pending if m.is_adoptable(tables)),
        missing_tables=tuple(
            t for t in expected_tables(migrations, names) if t not in tables
        ),
        unknown=tuple(sorted(name for name in names if name not in known)),
    )

"""Which migrations a database has, read past any node."""

from __future__ import annotations

from dwserver.config.settings import Settings
from dwserver.config.shown_urls import shown_url
from dwserver.protocol.json_types import JsonObject
from dwserver.roles.reading import reading
from dwserver.store.api import MigrationReport


async def read_migration_status(settings: Settings) -> JsonObject:
    """``{database, is_current, migrations, missing_tables}``; see :func:`status_view`.
    Opens a store of its own; may raise StoreError."""
    async with reading(settings) as store:
        report = await store.migration_report()
    return {"database": shown_url(settings.database.url), **status_view(report)}


def status_view(report: MigrationReport) -> JsonObject:
    """Each migration, ours in their order, and its state: ``applied``, ``pending``,
    ``adoptable`` (only has to be recorded) or ``unknown`` (of a newer release).
    ``is_current``: all of ours are applied, and no other, and no table is missing."""
    states = {name: "applied" for name in report.applied}
    states |= dict.fromkeys(report.pending, "pending")
    states |= dict.fromkeys(report.adoptable, "adoptable")
    ours = sorted(states)
    states |= dict.fromkeys(report.unknown, "unknown")
    return {
        "is_current": set(states.values()) <= {"applied"} and not report.missing_tables,
        "migrations": [
            {"name": name, "state": states[name]} for name in (*ours, *report.unknown)
        ],
        "missing_tables": list(report.missing_tables),
    }

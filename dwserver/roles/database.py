"""The store as a service of the process."""

from __future__ import annotations

import structlog

from dwserver.store.api import Store

_log = structlog.stdlib.get_logger(__name__)


class DatabaseService:
    """Opens the store and makes sure that the database answers before anything else
    starts. Pending migrations do not keep the node from starting: it serves health
    and refuses the rest, until ``dwserver bootstrap`` has run."""

    name = "database"

    def __init__(self, store: Store) -> None:
        self._store = store

    async def start(self) -> None:
        await self._store.open()
        await self._store.ping()
        report = await self._store.migration_report()
        if report.pending or report.missing_tables:
            _log.error(
                "migrations_pending",
                pending=list(report.pending),
                remediation="run `dwserver bootstrap` against this database",
            )

    async def drain(self) -> None:
        """Commits in flight belong to requests, which drain before."""

    async def stop(self) -> None:
        await self._store.close()

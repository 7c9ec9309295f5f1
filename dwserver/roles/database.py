"""The store as a service of the process."""

from __future__ import annotations

import structlog

from dwserver.store.api import Store, StoreError

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
        if not await self.is_prepared():
            _log.error(
                "migrations_pending",
                remediation="run `dwserver bootstrap` against this database",
            )

    async def is_prepared(self) -> bool:
        """Whether the schema is complete; False as well while the database is gone."""
        try:
            report = await self._store.migration_report()
        except StoreError:
            return False
        return not report.blocking and not report.missing_tables

    async def drain(self) -> None:
        """Commits in flight belong to requests, which drain before."""

    async def stop(self) -> None:
        await self._store.close()

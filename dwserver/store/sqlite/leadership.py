"""Leases of leaders. One process serves a file: it leads, in terms all the same."""

from __future__ import annotations

import sqlite3

from dwserver.store.leadership import LeaderLease
from dwserver.store.sqlite.on_threads import OnThreads
from dwserver.store.sqlite.reads import fetch_one
from dwserver.store.sqlite.records import Columns


class LeaderLeases(OnThreads):
    """See :class:`dwserver.store.leadership.LeaderLeases`."""

    async def find_leader(self, name: str) -> LeaderLease | None:
        return await self._read(_lease, "find_leader", name)

    async def acquire_leadership(
        self, name: str, holder: str, *, duration: int
    ) -> LeaderLease | None:
        return await self._write(_lease, "acquire_leadership", name, holder, duration)

    async def renew_leadership(
        self, lease: LeaderLease, *, duration: int
    ) -> LeaderLease | None:
        key = (lease.name, lease.holder, lease.term)
        return await self._write(_lease, "renew_leadership", *key, duration)

    async def release_leadership(self, lease: LeaderLease) -> None:
        key = (lease.name, lease.holder, lease.term)
        await self._write(_lease, "release_leadership", *key)


def _lease(
    connection: sqlite3.Connection, block: str, *args: object
) -> LeaderLease | None:
    return fetch_one(connection, _to_lease, block, *args)


def _to_lease(row: Columns) -> LeaderLease:
    return LeaderLease(**row)

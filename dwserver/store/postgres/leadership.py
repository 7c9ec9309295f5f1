"""Leases of leaders."""

from __future__ import annotations

from collections.abc import Sequence

import asyncpg

from dwserver.store.leadership import LeaderLease
from dwserver.store.postgres.blocks import block
from dwserver.store.postgres.connections import ConnectionPool

_FIND_LEADER = block("find_leader")
_ACQUIRE_LEADERSHIP = block("acquire_leadership")
_RENEW_LEADERSHIP = block("renew_leadership")
_RELEASE_LEADERSHIP = block("release_leadership")


class LeaderLeases:
    """See :class:`dwserver.store.leadership.LeaderLeases`."""

    def __init__(self, pool: ConnectionPool) -> None:
        self._pool = pool

    async def find_leader(self, name: str) -> LeaderLease | None:
        return _lease(await self._pool.fetch(_FIND_LEADER, name))

    async def acquire_leadership(
        self, name: str, holder: str, *, duration: int
    ) -> LeaderLease | None:
        return _lease(
            await self._pool.write(_ACQUIRE_LEADERSHIP, name, holder, duration)
        )

    async def renew_leadership(
        self, lease: LeaderLease, *, duration: int
    ) -> LeaderLease | None:
        key = (lease.name, lease.holder, lease.term)
        return _lease(await self._pool.write(_RENEW_LEADERSHIP, *key, duration))

    async def release_leadership(self, lease: LeaderLease) -> None:
        key = (lease.name, lease.holder, lease.term)
        await self._pool.write(_RELEASE_LEADERSHIP, *key)


def _lease(rows: Sequence[asyncpg.Record]) -> LeaderLease | None:
    return LeaderLease(**dict(rows[0])) if rows else None

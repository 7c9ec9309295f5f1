"""Namespaces (``spec/control-plane-api.md §6``)."""

from __future__ import annotations

from collections.abc import Callable

from dwserver.engine.model import JsonMap
from dwserver.services.fresh_cache import FreshCache
from dwserver.store.api import Namespace, Store

MAX_CACHED = 10_000


class Namespaces:
    """Every request asks whether its namespace exists; ``cache_ttl`` (microseconds)
    bounds how long an answer is believed."""

    def __init__(self, store: Store, *, now: Callable[[], int], cache_ttl: int) -> None:
        self._store = store
        self._now = now
        self._known = FreshCache(
            store.find_namespace, now=now, ttl=cache_ttl, max_entries=MAX_CACHED
        )

    async def exists(self, name: str) -> bool:
        # Nearly every request asks: an answer at hand takes no further coroutine.
        return (
            self._known.fresh(name) is not None
            or await self._known.get(name) is not None
        )

    def has_no_storage(self, name: str) -> bool:
        """It is known that the namespace keeps no payloads outside the database."""
        namespace = self._known.fresh(name)
        return namespace is not None and namespace.external_storage is None

    async def storage(self, name: str) -> JsonMap | None:
        """The policy of external storage; it may be a little old."""
        namespace = await self._known.get(name)
        return namespace.external_storage if namespace is not None else None

    async def find_all(self) -> list[Namespace]:
        return await self._store.list_namespaces()

    async def find(self, name: str) -> Namespace | None:
        return await self._store.find_namespace(name)

    async def create(
        self, name: str, *, description: str | None, retention_days: int
    ) -> Namespace | None:
        """None when the name exists."""
        now = self._now()
        namespace = Namespace(
            name=name,
            description=description,
            retention_days=retention_days,
            status="active",
            external_storage=None,
            created_at=now,
            updated_at=now,
        )
        return namespace if await self._store.create_namespace(namespace) else None

    async def update(
        self,
        name: str,
        *,
        description: str | None = None,
        retention_days: int | None = None,
    ) -> Namespace | None:
        """Change what is given; None when there is no such namespace."""
        changed = await self._store.update_namespace(
            name,
            description=description,
            retention_days=retention_days,
            at=self._now(),
        )
        self._known.forget(name)
        return changed

    async def set_storage(self, name: str, policy: JsonMap) -> Namespace | None:
        """Replace the whole policy; None when there is no such namespace."""
        changed = await self._store.update_namespace(
            name, external_storage=policy, at=self._now()
        )
        self._known.forget(name)
        return changed

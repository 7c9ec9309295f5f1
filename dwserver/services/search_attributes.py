"""Search attributes that a namespace defines (``spec/control-plane-api.md §12``)."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import StrEnum

from dwserver.services.fresh_cache import FreshCache
from dwserver.store.api import Store

MAX_CACHED = 1_000


class DefineOutcome(StrEnum):
    CREATED = "created"
    EXISTS = "exists"
    LIMIT_REACHED = "limit_reached"


@dataclass(frozen=True, slots=True)
class Defined:
    """``value_type`` is the type that the attribute has now."""

    outcome: DefineOutcome
    value_type: str


class SearchAttributes:
    """``max_defined``: attributes of one namespace. ``cache_ttl`` (microseconds) bounds
    how long another process's change goes unnoticed by :meth:`known_types`."""

    def __init__(
        self,
        store: Store,
        *,
        now: Callable[[], int],
        max_defined: int,
        cache_ttl: int,
    ) -> None:
        self._store = store
        self._now = now
        self._max_defined = max_defined
        self._types = FreshCache(
            store.search_attribute_types, now=now, ttl=cache_ttl, max_entries=MAX_CACHED
        )

    async def types(self, namespace: str) -> Mapping[str, str]:
        """Types by rising name, as they are now."""
        return await self._store.search_attribute_types(namespace)

    async def known_types(self, namespace: str) -> Mapping[str, str]:
        """Types by name, for checks of values; they may be a little old."""
        return await self._types.get(namespace) or {}

    async def define(self, namespace: str, name: str, *, value_type: str) -> Defined:
        """Repeating it finds the attribute there. The limit is approximate: those who
        define the last one at the same moment all succeed."""
        types = await self._store.search_attribute_types(namespace)
        if name not in types:
            if len(types) >= self._max_defined:
                return Defined(DefineOutcome.LIMIT_REACHED, value_type)
            is_new = await self._store.put_search_attribute(
                namespace, name, value_type=value_type, created_at=self._now()
            )
            self._types.forget(namespace)
            if is_new:
                return Defined(DefineOutcome.CREATED, value_type)
            types = await self._store.search_attribute_types(namespace)
        return Defined(DefineOutcome.EXISTS, types.get(name, value_type))

    async def remove(self, namespace: str, name: str) -> bool:
        """False when there is none. Runs keep the values that they have."""
        removed = await self._store.delete_search_attribute(namespace, name)
        self._types.forget(namespace)
        return removed

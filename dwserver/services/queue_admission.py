"""Admission of capped task queues (``spec/topology-and-operations.md §5.6``).

A task of a capped queue is never handed over in the transition that makes it: it is
claimed under a lock of all processes, after a look at what the caps count. Leases are
counted in the database, dispatches in the ledger. Queues without caps come nowhere near
any of this.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Any, Final, TypeVar

from dwserver.coordination.admission_ledger import (
    AdmissionLedger,
    LedgerUnavailable,
    Scope,
)
from dwserver.engine.routing.caps import MINUTE, Caps, Usage, caps_for
from dwserver.engine.transition import RunChange
from dwserver.engine.words import TaskKind
from dwserver.matching.matcher import QueueRefused
from dwserver.store.api import QueueKey, Store

Claimed = TypeVar("Claimed")

MAX_KNOWN_QUEUES: Final = 10_000
# Claims that follow a refusal this soon are refused with it.
REFUSAL_SECONDS: Final = 0.02


class Budget(StrEnum):
    """Whether the caps leave room; the words are on the wire."""

    ACCEPTING = "accepting"
    THROTTLED = "throttled"
    UNAVAILABLE = "unavailable"


@dataclass(frozen=True, slots=True)
class CapSettings:
    """Caps of every queue by kind, and what is set for some."""

    defaults: Mapping[TaskKind, Caps]
    overrides: Mapping[str, Any]

    @property
    def is_any(self) -> bool:
        return bool(self.overrides) or any(c.is_any for c in self.defaults.values())


@dataclass(frozen=True, slots=True)
class AdmissionState:
    """What operators see of a queue's caps; ``usage`` as far as it could be counted."""

    caps: Caps
    usage: Usage
    budget: Budget


class QueueAdmission:
    def __init__(
        self,
        store: Store,
        *,
        ledger: AdmissionLedger,
        settings: CapSettings,
        now: Callable[[], int],
    ) -> None:
        self._store = store
        self._ledger = ledger
        self._settings = settings
        self._now = now
        self.has_caps = settings.is_any
        """Whether any queue may have one."""
        self._caps: dict[QueueKey, Caps] = {}
        self._refused_until: dict[QueueKey, float] = {}

    def caps(self, key: QueueKey) -> Caps:
        known = self._caps.get(key)
        if known is None:
            if len(self._caps) >= MAX_KNOWN_QUEUES:
                self._caps.clear()
            namespace, queue, kind = key
            known = self._caps[key] = caps_for(
                self._settings.defaults[kind],
                self._settings.overrides,
                namespace=namespace,
                queue=queue,
                kind=kind,
            )
        return known

    def is_capped(self, key: QueueKey) -> bool:
        return self.has_caps and self.caps(key).is_any

    async def claim(
        self, key: QueueKey, claim: Callable[[], Awaitable[Claimed | None]]
    ) -> Claimed | None:
        """What ``claim`` gets, if the caps allow one more; raises
        :class:`~dwserver.matching.matcher.QueueRefused`."""
        if not self.is_capped(key):
            return await claim()
        loop = asyncio.get_running_loop()
        if loop.time() < self._refused_until.get(key, 0.0):
            raise QueueRefused
        caps = self.caps(key)
        try:
            async with self._ledger.lock(_lock_scope(key, caps)):
                if (await self._usage(key, caps)).has_reached(caps):
                    raise QueueRefused
                claimed = await claim()
                if claimed is not None and caps.counts_dispatches:
                    await self._count(key, caps)
                return claimed
        except (LedgerUnavailable, QueueRefused) as error:
            if len(self._refused_until) >= MAX_KNOWN_QUEUES:
                self._refused_until.clear()
            self._refused_until[key] = loop.time() + REFUSAL_SECONDS
            raise QueueRefused from error

    def freed(self, key: QueueKey) -> None:
        """There may be room again."""
        self._refused_until.pop(key, None)

    async def _count(self, key: QueueKey, caps: Caps) -> None:
        """The task is leased: it is given even if that cannot be counted."""
        scopes = list(_counters(key, caps).values())
        with suppress(LedgerUnavailable):
            await self._ledger.count_dispatch(scopes, minute=self._minute())

    async def budget(self, key: QueueKey) -> Budget:
        """For polls of a capped queue that found nothing."""
        leases, can_lock = await self._leases(key), await self.can_lock()
        states = await self.states({key: leases}, can_lock=can_lock)
        return states[key].budget

    async def can_lock(self) -> bool:
        """Whether a capped queue could be looked at now."""
        try:
            await self._ledger.check()
        except LedgerUnavailable:
            return False
        return True

    async def states(
        self, leases: Mapping[QueueKey, Usage], *, can_lock: bool
    ) -> dict[QueueKey, AdmissionState]:
        """Of queues of one namespace whose leases have been counted; dispatches are
        looked up where a cap counts them, all at once. ``can_lock``: see
        :meth:`can_lock`."""
        caps = {key: self.caps(key) for key in leases}
        counters = {
            key: _counters(key, of_queue)
            for key, of_queue in caps.items()
            if of_queue.is_any
        }
        scopes = {scope for each in counters.values() for scope in each.values()}
        counted = await self._dispatches(scopes) if can_lock else None
        return {
            key: _state(caps[key], usage, counters.get(key, {}), counted)
            for key, usage in leases.items()
        }

    async def _dispatches(self, scopes: Iterable[Scope]) -> dict[Scope, int] | None:
        """None when the ledger cannot be asked."""
        listed = list(scopes)
        try:
            counts = await self._ledger.dispatches(listed, minute=self._minute())
        except LedgerUnavailable:
            return None
        return dict(zip(listed, counts, strict=True))

    async def _usage(self, key: QueueKey, caps: Caps) -> Usage:
        leases = await self._leases(key) if caps.counts_leases else Usage()
        return await self._with_dispatches(key, caps, leases)

    async def _leases(self, key: QueueKey) -> Usage:
        in_queue, in_namespace = await self._store.count_active_leases(
            key, now=self._now()
        )
        return Usage(leases=in_queue, namespace_leases=in_namespace)

    async def _with_dispatches(self, key: QueueKey, caps: Caps, leases: Usage) -> Usage:
        counters = _counters(key, caps)
        counts = await self._ledger.dispatches(
            list(counters.values()), minute=self._minute()
        )
        return replace(leases, **dict(zip(counters, counts, strict=True)))

    def _minute(self) -> int:
        return self._now() // MINUTE


def _state(
    caps: Caps,
    leases: Usage,
    counters: Mapping[str, Scope],
    counted: Mapping[Scope, int] | None,
) -> AdmissionState:
    if not caps.is_any:
        return AdmissionState(caps, leases, Budget.ACCEPTING)
    if counted is None:
        return AdmissionState(caps, leases, Budget.UNAVAILABLE)
    dispatches = {name: counted[scope] for name, scope in counters.items()}
    usage = replace(leases, **dispatches)
    is_full = usage.has_reached(caps)
    return AdmissionState(
        caps, usage, Budget.THROTTLED if is_full else Budget.ACCEPTING
    )


def _lock_scope(key: QueueKey, caps: Caps) -> Scope:
    """As wide as the widest cap."""
    if caps.is_of_namespace:
        return Scope(key.namespace, key.kind)
    if caps.group_dispatches is not None:
        return Scope(key.namespace, key.kind, group=caps.group or "")
    return Scope(key.namespace, key.kind, queue=key.queue)


def _counters(key: QueueKey, caps: Caps) -> dict[str, Scope]:
    """What is counted for the caps that there are, by the field of the usage."""
    namespace, kind = key.namespace, key.kind
    scopes = {}
    if caps.dispatches is not None:
        scopes["dispatches"] = Scope(namespace, kind, queue=key.queue)
    if caps.namespace_dispatches is not None:
        scopes["namespace_dispatches"] = Scope(namespace, kind)
    if caps.group_dispatches is not None:
        scopes["group_dispatches"] = Scope(namespace, kind, group=caps.group or "")
    return scopes


class FreedRoom:
    """An observer of commits: a capped queue is looked at when a lease in it ends."""

    def __init__(
        self, admission: QueueAdmission, *, heard_of: Callable[[QueueKey], None]
    ) -> None:
        self._admission = admission
        self._heard_of = heard_of

    def committed(self, change: RunChange) -> None:
        if not self._admission.has_caps:
            return
        for task in change.tasks:
            key = QueueKey(task.namespace, task.queue, task.kind)
            if not task.is_open and self._admission.is_capped(key):
                self._admission.freed(key)
                self._heard_of(key)

    def conflicted(self) -> None:
        """Nothing happened."""

"""Which process leads (decision 24): one lease in the database, kept by renewing it.

The process that holds the lease leads in its *term*. Every write of a leader carries
the term as a guard, so that one that was stopped and woken after another had taken
over changes nothing. That guard is what correctness rests on; the clock here only
keeps a leader that could not renew from trying.

A leader renews three times in a lease. A follower reads the lease, and writes only to
take over one that has expired or was released.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

import structlog

from dwserver.engine.transition import TermGuard
from dwserver.engine.wire_time import MICROS
from dwserver.store.api import StoreError
from dwserver.store.leadership import LeaderLease, LeaderLeases

# A released lease is found this soon.
FOLLOWER_LOOKS_EVERY_SECONDS = 0.25
RENEWALS_PER_LEASE = 3

_log = structlog.stdlib.get_logger(__name__)


class LeadershipObserver(Protocol):
    """Told the term after every look; 0 while another process leads."""

    def leads(self, name: str, term: int) -> None: ...


class Leadership:
    """See the module text. ``holder``: this process, for logs and operators.
    ``monotonic``: seconds. ``on_change`` is called when it begins or ceases to lead."""

    def __init__(
        self,
        leases: LeaderLeases,
        *,
        name: str,
        holder: str,
        lease_seconds: float,
        monotonic: Callable[[], float],
        observer: LeadershipObserver,
        on_change: Callable[[], None] = lambda: None,
    ) -> None:
        self._leases = leases
        self.name = name
        self.holder = holder
        self._lease_seconds = lease_seconds
        self._monotonic = monotonic
        self._observer = observer
        self._on_change = on_change
        self._lease: LeaderLease | None = None
        self._trusted_until = 0.0
        self._followed: tuple[str, int] | None = None

    def term(self) -> TermGuard | None:
        """The guard of what this process writes as the leader; None when it is not, or
        could not renew in time and may have lost the lease."""
        if self._lease is None or self._monotonic() >= self._trusted_until:
            return None
        return TermGuard(self.name, self._lease.term)

    async def look(self) -> float:
        """Renew, follow or take over; seconds until the next look is due."""
        asked_at = self._monotonic()
        before = self._lease
        if before is None:
            lease = await self._take_over()
        else:
            lease = await self._leases.renew_leadership(before, duration=self._duration)
        self._lease = lease
        self._observer.leads(self.name, lease.term if lease else 0)
        if lease is None:
            if before is not None:
                self._ceased(before, "superseded")
            return FOLLOWER_LOOKS_EVERY_SECONDS
        # Counted from before the statement: the lease began no earlier.
        self._trusted_until = asked_at + self._lease_seconds
        if before is None:
            self._log_lease("leadership_taken", lease)
            self._on_change()
        return self._lease_seconds / RENEWALS_PER_LEASE

    async def resign(self) -> None:
        """Cease to lead, so that another process can begin at once."""
        lease, self._lease = self._lease, None
        if lease is None:
            return
        self._observer.leads(self.name, 0)
        self._ceased(lease, "resigned")
        try:
            await self._leases.release_leadership(lease)
        except StoreError as error:
            # It expires by itself.
            _log.warning("lease_not_released", leadership=self.name, error=str(error))

    @property
    def _duration(self) -> int:
        return round(self._lease_seconds * MICROS)

    async def _take_over(self) -> LeaderLease | None:
        current = await self._leases.find_leader(self.name)
        if current is not None and current.is_held:
            self._follow(current)
            return None
        self._followed = None
        return await self._leases.acquire_leadership(
            self.name, self.holder, duration=self._duration
        )

    def _follow(self, lease: LeaderLease) -> None:
        if self._followed != (lease.holder, lease.term):
            self._followed = (lease.holder, lease.term)
            self._log_lease("leader_followed", lease)

    def _ceased(self, lease: LeaderLease, cause: str) -> None:
        _log.info(
            "leadership_ended",
            leadership=self.name,
            holder=lease.holder,
            term=lease.term,
            cause=cause,
        )
        self._on_change()

    def _log_lease(self, event: str, lease: LeaderLease) -> None:
        _log.info(event, leadership=self.name, holder=lease.holder, term=lease.term)

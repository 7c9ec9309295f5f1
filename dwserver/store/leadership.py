"""The leases of leaders in the Store: one row for each name (decision 24).

Time is the database's own: processes whose clocks differ agree on who leads.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol


@dataclass(frozen=True, slots=True, kw_only=True)
class LeaderLease:
    """Who leads. ``term`` grows with every take-over. ``expires_at`` and ``read_at``
    are of the database's clock; a lease that was released expires at 0."""

    name: str
    holder: str
    term: int
    expires_at: int
    read_at: int

    @property
    def is_held(self) -> bool:
        return self.expires_at > self.read_at


class LeaderLeases(Protocol):
    """Part of :class:`dwserver.store.api.Store`. Durations are microseconds."""

    async def find_leader(self, name: str) -> LeaderLease | None:
        """The lease as it stands; None when nobody has ever led."""
        ...

    async def acquire_leadership(
        self, name: str, holder: str, *, duration: int
    ) -> LeaderLease | None:
        """Begin the next term; None while a lease has not expired, the own as well."""
        ...

    async def renew_leadership(
        self, lease: LeaderLease, *, duration: int
    ) -> LeaderLease | None:
        """Lead on in the same term; None when another term has begun."""
        ...

    async def release_leadership(self, lease: LeaderLease) -> None:
        """Let another one lead at once; nothing when another term has begun."""
        ...

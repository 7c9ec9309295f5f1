"""Taking, keeping and giving up a leadership, on a real store."""

from __future__ import annotations

from dataclasses import dataclass, field

import pytest
from structlog.testing import capture_logs

from dwserver.engine.transition import TermGuard
from dwserver.services.leadership import (
    FOLLOWER_LOOKS_EVERY_SECONDS,
    Leadership,
)
from dwserver.store.api import Store, StoreUnavailable
from dwserver.store.leadership import LeaderLease

LEASE_SECONDS = 9.0


@pytest.fixture
def store(any_store: Store) -> Store:
    """An open store, once on each database."""
    return any_store


@dataclass
class Node:
    """A process that stands for the leadership, with a clock of its own."""

    store: Store
    holder: str
    seconds: float = 100.0
    terms: list[int] = field(default_factory=list)
    changes: int = 0

    def __post_init__(self) -> None:
        self.leadership = Leadership(
            self.store,
            name="scheduler",
            holder=self.holder,
            lease_seconds=LEASE_SECONDS,
            monotonic=lambda: self.seconds,
            observer=self,
            on_change=self._changed,
        )

    def leads(self, name: str, term: int) -> None:
        assert name == "scheduler"
        self.terms.append(term)

    def _changed(self) -> None:
        self.changes += 1

    @property
    def term(self) -> int | None:
        guard = self.leadership.term()
        return guard.term if guard else None


async def lease_of(store: Store) -> LeaderLease:
    lease = await store.find_leader("scheduler")
    assert lease is not None
    return lease


async def test_one_leads_and_the_other_follows(store: Store) -> None:
    first, second = Node(store, "n-1"), Node(store, "n-2")
    assert await first.leadership.look() == LEASE_SECONDS / 3
    with capture_logs() as logs:
        for _ in range(2):
            assert await second.leadership.look() == FOLLOWER_LOOKS_EVERY_SECONDS
    assert first.leadership.term() == TermGuard("scheduler", 1)
    assert second.leadership.term() is None
    assert (first.terms, second.terms) == ([1], [0, 0])
    [followed] = logs
    assert followed["event"] == "leader_followed"
    assert (followed["holder"], followed["term"]) == ("n-1", 1)


async def test_a_follower_writes_nothing(store: Store) -> None:
    await Node(store, "n-1").leadership.look()
    before = await lease_of(store)
    await Node(store, "n-2").leadership.look()
    after = await lease_of(store)
    assert (after.holder, after.term, after.expires_at) == (
        before.holder,
        before.term,
        before.expires_at,
    )


async def test_a_renewal_keeps_the_term_and_the_trust(store: Store) -> None:
    node = Node(store, "n-1")
    await node.leadership.look()
    before = await lease_of(store)
    node.seconds += LEASE_SECONDS - 0.1
    assert node.term == 1
    await node.leadership.look()
    node.seconds += LEASE_SECONDS - 0.1
    assert node.term == 1
    assert (await lease_of(store)).expires_at > before.expires_at
    assert node.changes == 1


async def test_a_leader_that_could_not_renew_does_not_trust_its_lease(
    store: Store,
) -> None:
    node = Node(store, "n-1")
    await node.leadership.look()
    node.seconds += LEASE_SECONDS
    assert node.term is None
    await node.leadership.look()
    assert node.term == 1


async def test_a_leader_learns_that_another_took_over(store: Store) -> None:
    frozen, other = Node(store, "n-1"), Node(store, "n-2")
    await frozen.leadership.look()
    # Its lease ran out while it was frozen.
    await store.release_leadership(await lease_of(store))
    await other.leadership.look()
    assert other.term == 2
    with capture_logs() as logs:
        await frozen.leadership.look()
    assert frozen.term is None
    assert [(e["event"], e["term"], e["cause"]) for e in logs] == [
        ("leadership_ended", 1, "superseded")
    ]
    assert (frozen.changes, frozen.terms) == (2, [1, 0])
    assert (await lease_of(store)).holder == "n-2"


async def test_a_leader_that_resigns_is_followed_at_once(store: Store) -> None:
    first, second = Node(store, "n-1"), Node(store, "n-2")
    await first.leadership.look()
    await first.leadership.resign()
    assert first.term is None
    await second.leadership.look()
    assert second.term == 2
    await first.leadership.resign()
    assert (await lease_of(store)).is_held


async def test_resigning_without_a_database_leaves_the_lease_to_expire(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    node = Node(store, "n-1")
    await node.leadership.look()

    async def unreachable(lease: LeaderLease) -> None:
        raise StoreUnavailable("gone")

    monkeypatch.setattr(store, "release_leadership", unreachable)
    with capture_logs() as logs:
        await node.leadership.resign()
    assert node.term is None
    assert [entry["event"] for entry in logs] == [
        "leadership_ended",
        "lease_not_released",
    ]

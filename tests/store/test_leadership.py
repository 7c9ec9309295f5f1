"""Who leads, by the clock of the database, and what a leader of an old term can do."""

from __future__ import annotations

import asyncio
from dataclasses import replace

from dwserver.engine.transition import TermGuard, Transition
from dwserver.store.api import Store
from dwserver.store.leadership import LeaderLease
from tests.store.reading import traces_of
from tests.support.builders import (
    a_schedule,
    a_schedule_change,
    a_schedule_creation,
    a_start_transition,
)

HOUR = 3_600_000_000
NAME = "scheduler"


async def led(store: Store, holder: str, *, duration: int = HOUR) -> LeaderLease:
    lease = await store.acquire_leadership(NAME, holder, duration=duration)
    assert lease is not None
    return lease


async def test_nobody_leads_at_first(store: Store) -> None:
    assert await store.find_leader(NAME) is None


async def test_the_first_term_is_taken_and_kept(store: Store) -> None:
    lease = await led(store, "node-1")
    assert (lease.name, lease.holder, lease.term) == (NAME, "node-1", 1)
    assert lease.is_held
    assert lease.expires_at == lease.read_at + HOUR
    for holder in ("node-2", "node-1"):
        again = await store.acquire_leadership(NAME, holder, duration=HOUR)
        assert again is None
    found = await store.find_leader(NAME)
    assert found is not None
    assert replace(found, read_at=0) == replace(lease, read_at=0)


async def test_a_renewal_moves_the_expiry_within_the_term(store: Store) -> None:
    lease = await led(store, "node-1")
    renewed = await store.renew_leadership(lease, duration=2 * HOUR)
    assert renewed is not None
    assert (renewed.holder, renewed.term) == ("node-1", 1)
    assert renewed.expires_at - renewed.read_at == 2 * HOUR


async def test_an_expired_lease_is_taken_over_in_the_next_term(store: Store) -> None:
    old = await led(store, "node-1", duration=0)
    assert (await led(store, "node-2")).term == 2
    assert await store.renew_leadership(old, duration=HOUR) is None
    await store.release_leadership(old)
    current = await store.find_leader(NAME)
    assert current is not None
    assert (current.holder, current.is_held) == ("node-2", True)


async def test_the_same_holder_begins_a_term_anew(store: Store) -> None:
    await led(store, "node-1", duration=0)
    assert (await led(store, "node-1")).term == 2


async def test_a_late_renewal_keeps_the_term_that_nobody_has_taken(
    store: Store,
) -> None:
    lease = await led(store, "node-1", duration=0)
    renewed = await store.renew_leadership(lease, duration=HOUR)
    assert renewed is not None
    assert renewed.is_held


async def test_a_released_lease_is_free_at_once(store: Store) -> None:
    lease = await led(store, "node-1")
    await store.release_leadership(lease)
    released = await store.find_leader(NAME)
    assert released is not None
    assert not released.is_held
    assert (await led(store, "node-2")).term == 2


async def test_of_several_at_once_one_leads(store: Store) -> None:
    await led(store, "node-0", duration=0)
    leases = await asyncio.gather(
        *(store.acquire_leadership(NAME, f"n-{n}", duration=HOUR) for n in range(8))
    )
    [winner] = [lease for lease in leases if lease is not None]
    assert winner.term == 2


async def test_leaderships_do_not_meet(store: Store) -> None:
    await led(store, "node-1")
    other = await store.acquire_leadership("retention", "node-2", duration=HOUR)
    assert other is not None
    assert other.term == 1


async def test_a_leader_writes_in_its_term(store: Store) -> None:
    lease = await led(store, "node-1")
    start = replace(a_start_transition(), term=TermGuard(NAME, lease.term))
    assert await store.commit(start)
    assert await store.load_run(start.changes[0].run.id) is not None


async def test_a_leader_of_an_old_term_changes_nothing(store: Store) -> None:
    schedule = a_schedule()
    assert await store.commit(a_schedule_creation(schedule))
    old = await led(store, "node-1", duration=0)
    await led(store, "node-2")
    fire = replace(
        a_start_transition(),
        schedule=a_schedule_change(schedule, fires_count=1),
        term=TermGuard(NAME, old.term),
    )
    before = await traces_of(store, fire)
    assert not await store.commit(fire)
    assert await traces_of(store, fire) == before
    assert await store.find_schedule("default", schedule.schedule_id) == schedule


async def test_nobody_writes_in_a_term_that_has_not_begun(store: Store) -> None:
    early = replace(a_start_transition(), term=TermGuard(NAME, 1))
    assert not await store.commit(early)
    lease = await led(store, "node-1")
    ahead = replace(a_start_transition(), term=TermGuard(NAME, lease.term + 1))
    assert not await store.commit(ahead)


async def test_terms_of_one_batch_are_told_apart(store: Store) -> None:
    """The combiner writes them together; a term is guarded for each transition."""
    old = await led(store, "node-1", duration=0)
    new = await led(store, "node-2")
    terms = [old.term, new.term, None] * 4
    starts = [
        replace(a_start_transition(), term=TermGuard(NAME, term) if term else None)
        for term in terms
    ]
    applied = await asyncio.gather(*map(store.commit, starts))
    assert applied == [term != old.term for term in terms]


async def test_writes_of_a_term_and_its_end_are_in_one_order(store: Store) -> None:
    """Every write of the old leader is before the take-over, or nowhere."""
    lease = await led(store, "node-1")
    guard = TermGuard(NAME, lease.term)
    starts = [replace(a_start_transition(), term=guard) for _ in range(40)]

    async def hand_over() -> None:
        await store.release_leadership(lease)
        await led(store, "node-2")

    *applied, _ = await asyncio.gather(*map(store.commit, starts), hand_over())
    late = replace(a_start_transition(), term=guard)
    assert not await store.commit(late)
    for start, is_applied in zip(starts, applied, strict=True):
        found = await store.load_run(start.changes[0].run.id)
        assert (found is not None) is is_applied


async def test_a_term_guards_a_transition_without_runs(store: Store) -> None:
    lease = await led(store, "node-1")
    schedule = a_schedule()
    creation = a_schedule_creation(schedule)
    assert not await store.commit(replace(creation, term=TermGuard(NAME, 7)))
    assert await store.commit(replace(creation, term=TermGuard(NAME, lease.term)))
    assert isinstance(creation, Transition)

"""Work that transitions leave for after their commit."""

from __future__ import annotations

from dataclasses import replace

import pytest

from dwserver.engine.words import (
    OutboxKind,
)
from dwserver.store.api import Store
from tests.support.builders import (
    NOON,
    a_run,
    a_start_transition,
    an_outbox_entry,
)


async def test_outbox_comes_oldest_first_within_the_limit(store: Store) -> None:
    run = a_run()
    instants = [NOON + 2, NOON, NOON + 1, NOON + 3]
    entries = [an_outbox_entry(run, available_at=at) for at in instants]
    twin = an_outbox_entry(run, available_at=NOON)
    start = a_start_transition(run, outbox=(*entries, twin))
    await store.commit(start)
    due = await store.due_outbox(now=NOON + 2, limit=10)
    assert due == [entries[1], twin, entries[2], entries[0]]
    assert await store.due_outbox(now=NOON + 2, limit=2) == due[:2]
    assert await store.due_outbox(now=NOON - 1, limit=10) == []


async def test_outbox_entries_are_done_or_put_off(store: Store) -> None:
    run = a_run()
    entries = [an_outbox_entry(run) for _ in range(4)]
    await store.commit(a_start_transition(run, outbox=tuple(entries)))
    await store.delete_outbox([entries[2].id, "no-such-work"])
    await store.delete_outbox([entries[2].id])
    moved = [entries[0].id, "no-such-work"]
    await store.postpone_outbox(moved, available_at=NOON + 5)
    await store.delete_outbox([])
    await store.postpone_outbox([], available_at=NOON + 6)
    left = [entries[1], entries[3]]
    assert await store.due_outbox(now=NOON + 4, limit=9) == left
    late = replace(entries[0], available_at=NOON + 5)
    assert await store.due_outbox(now=NOON + 5, limit=9) == [*left, late]


@pytest.mark.parametrize("kind", OutboxKind)
async def test_outbox_knows_every_kind(store: Store, kind: OutboxKind) -> None:
    run = a_run()
    entry = an_outbox_entry(run, kind=kind)
    await store.commit(a_start_transition(run, outbox=(entry,)))
    assert await store.due_outbox(now=NOON, limit=9) == [entry]

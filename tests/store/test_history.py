"""History: gapless, unique, held events invisible until they take their place."""

from __future__ import annotations

from dataclasses import replace

import pytest

from dwserver.engine.model import Event
from dwserver.engine.transition import ReleasedEvent
from dwserver.store.api import Store, StoreError
from tests.store.reading import full_history, loaded
from tests.support.builders import (
    NOON,
    a_run,
    a_start_transition,
    a_transition,
    an_event,
)


def sequences(events: list[Event]) -> list[int]:
    return [event.sequence for event in events]


async def test_history_grows_without_gaps(store: Store) -> None:
    run = a_run()
    await store.commit(a_start_transition(run))
    for version in range(1, 6):
        events = (an_event(2 * version + 1), an_event(2 * version + 2))
        await store.commit(a_transition(replace(run, version=version), events=events))
    history = await full_history(store, run.id)
    assert sequences(history) == list(range(1, 13))


async def test_history_page_is_bounded_on_both_sides(store: Store) -> None:
    run = a_run()
    events = tuple(an_event(sequence) for sequence in range(1, 11))
    await store.commit(a_start_transition(run, events=events))

    async def page(after: int, upto: int | None, limit: int) -> list[int]:
        found = await store.history(run.id, after=after, upto=upto, limit=limit)
        return sequences(found)

    assert await page(0, None, 100) == list(range(1, 11))
    assert await page(3, None, 4) == [4, 5, 6, 7]
    assert await page(3, 5, 100) == [4, 5]
    assert await page(10, None, 100) == []
    assert await page(0, 0, 100) == []


async def test_history_of_runs_is_separate(store: Store) -> None:
    first, second = a_run(), a_run()
    await store.commit(a_start_transition(first))
    await store.commit(a_start_transition(second, events=(an_event(1),)))
    assert sequences(await full_history(store, second.id)) == [1]
    assert sequences(await full_history(store, first.id)) == [1, 2]


async def test_second_event_with_a_sequence_is_an_error_and_writes_nothing(
    store: Store,
) -> None:
    run = a_run()
    await store.commit(a_start_transition(run))
    before = await full_history(store, run.id)
    twice = a_transition(run, events=(an_event(3), an_event(2)))
    with pytest.raises(StoreError) as caught:
        await store.commit(twice)
    assert not caught.value.is_applied_unknown
    assert await full_history(store, run.id) == before
    assert (await loaded(store, run.id)).run == run


async def test_held_event_is_invisible_until_it_is_released(store: Store) -> None:
    run = a_run()
    held = an_event(-4, event_type="ActivityCompleted", has_plain=True)
    await store.commit(a_start_transition(run))
    await store.commit(a_transition(run, events=(an_event(3), held)))
    for after in (0, -10):
        found = await store.history(run.id, after=after, upto=None, limit=10)
        assert sequences(found) == [1, 2, 3]

    released = ReleasedEvent(held=-4, sequence=5, recorded_at=NOON + 99)
    later = replace(run, version=2)
    await store.commit(a_transition(later, events=(an_event(4),), released=(released,)))
    history = await full_history(store, run.id)
    assert sequences(history) == [1, 2, 3, 4, 5]
    last = history[-1]
    assert (last.id, last.payload) == (held.id, held.payload)
    assert (last.event_type, last.has_plain) == (held.event_type, True)
    assert last.recorded_at == NOON + 99


async def test_several_events_are_released_at_once(store: Store) -> None:
    runs = [a_run(), a_run()]
    for run in runs:
        events = (an_event(1), an_event(-2), an_event(-3))
        await store.commit(a_start_transition(run, events=events))
    released = (ReleasedEvent(-3, 2, NOON), ReleasedEvent(-2, 3, NOON))
    await store.commit(a_transition(runs[0], released=released))
    history = await full_history(store, runs[0].id)
    assert [event.payload for event in history] == [
        b'{"sequence":1}',
        b'{"sequence":-3}',
        b'{"sequence":-2}',
    ]
    assert sequences(await full_history(store, runs[1].id)) == [1]

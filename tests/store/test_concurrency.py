"""Many commits in flight: order, isolation, and reads that see them."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import replace
from random import Random

import pytest

from dwserver.engine.model import Child, Run, RunInput, RunState
from dwserver.engine.transition import Transition, apply
from dwserver.engine.words import ChildStatus, RunStatus
from dwserver.store.api import Store, StoreError
from dwserver.store.opening import open_store
from tests.store.reading import full_history, loaded
from tests.support.builders import (
    NOON,
    a_change,
    a_child,
    a_completion,
    a_run,
    a_start,
    a_start_transition,
    a_transition,
    an_activity_step,
    an_event,
    an_instance,
)
from tests.support.random_changes import a_random_change


async def test_64_writers_each_see_their_own_commits(store: Store) -> None:
    async def write(seed: int) -> RunState:
        random = Random(seed)
        start = a_start_transition()
        assert await store.commit(start)
        state = apply(None, start.changes[0])
        for _ in range(4):
            assert await store.load_run(state.run.id) == state
            change = a_random_change(state, random)
            assert await store.commit(Transition(changes=(change,)))
            state = apply(state, change)
        return state

    states = await asyncio.gather(*map(write, range(64)))
    for state in states:
        assert await store.load_run(state.run.id) == state


async def test_commits_of_one_run_are_applied_in_the_order_of_their_calls(
    store: Store,
) -> None:
    run = a_run(last_sequence=0)
    chain = [a_start_transition(run, events=())]
    for version in range(1, 31):
        sequence = version
        current = replace(run, version=version)
        fields = {"last_sequence": sequence}
        event = an_event(sequence)
        chain.append(a_transition(current, run_fields=fields, events=(event,)))
    others = [a_start_transition() for _ in range(30)]
    mixed = [each for pair in zip(chain, others, strict=False) for each in pair]
    results = await asyncio.gather(*map(store.commit, [*mixed, chain[-1]]))
    assert all(results)
    state = await loaded(store, run.id)
    assert (state.run.version, state.run.last_sequence) == (31, 30)
    history = await full_history(store, run.id)
    assert [event.sequence for event in history] == list(range(1, 31))


async def test_children_close_at_once_and_each_tells_its_parent(store: Store) -> None:
    """Every transition has the change of the child and that of the parent."""
    parent = a_run(batch_first=1, batch_size=6)
    children = [a_run(parent_run_id=parent.id, parent_step=n) for n in range(1, 7)]
    calls = [a_child(parent, step=n, batch=1) for n in range(1, 7)]
    start = Transition(
        changes=(
            a_start(parent, new_children=tuple(calls)),
            *(a_start(child) for child in children),
        ),
        new_instances=tuple(map(an_instance, (parent, *children))),
    )
    assert await store.commit(start)

    async def close(child: Run, call: Child) -> int:
        for attempt in range(1, 20):
            above = (await loaded(store, parent.id)).run
            done = replace(call, status=ChildStatus.COMPLETED, closed_at=NOON)
            outcome = a_change(above, children=(done,))
            changes = (a_completion(child), outcome)
            if await store.commit(Transition(changes=changes)):
                return attempt
        raise AssertionError("always too late")

    attempts = await asyncio.gather(*map(close, children, calls))
    assert sum(attempts) >= 6
    state = await loaded(store, parent.id)
    assert state.run.version == 7
    assert {c.status for c in state.children.values()} == {ChildStatus.COMPLETED}
    for child in children:
        assert (await loaded(store, child.id)).run.status is RunStatus.COMPLETED


async def test_of_two_changes_upon_one_version_the_first_wins(store: Store) -> None:
    start = a_start_transition()
    await store.commit(start)
    state = apply(None, start.changes[0])
    changes = [an_activity_step(state, activities=n) for n in (1, 2)]
    results = await asyncio.gather(
        *(store.commit(Transition(changes=(change,))) for change in changes)
    )
    assert results == [True, False]
    assert await store.load_run(state.run.id) == apply(state, changes[0])


def with_a_value_that_is_not_json(start: Transition) -> Transition:
    [change] = start.changes
    given = RunInput(arguments=None, memo={"bad": object()})
    return replace(start, changes=(replace(change, input=given),))


def with_an_event_twice(start: Transition) -> Transition:
    [change] = start.changes
    events = (*change.events, change.events[0])
    return replace(start, changes=(replace(change, events=events),))


def with_a_number_out_of_range(start: Transition) -> Transition:
    [change] = start.changes
    run = replace(change.run, last_progress_at=2**64)
    return replace(start, changes=(replace(change, run=run),))


def with_half_a_character(start: Transition) -> Transition:
    [change] = start.changes
    return replace(
        start, changes=(replace(change, run=replace(change.run, task_queue="\ud800")),)
    )


@pytest.mark.parametrize(
    "poison",
    [
        with_a_value_that_is_not_json,
        with_an_event_twice,
        with_a_number_out_of_range,
        with_half_a_character,
    ],
)
async def test_transition_that_cannot_be_written_fails_alone(
    store: Store, poison: Callable[[Transition], Transition]
) -> None:
    starts = [a_start_transition() for _ in range(12)]
    starts[5] = poison(starts[5])
    results = await asyncio.gather(*map(store.commit, starts), return_exceptions=True)
    error = results.pop(5)
    assert isinstance(error, StoreError)
    assert not error.is_applied_unknown
    assert results == [True] * 11
    for position, start in enumerate(starts):
        run_id = start.changes[0].run.id
        state = await store.load_run(run_id)
        assert (state is None) is (position == 5)
        assert bool(await full_history(store, run_id)) is (position != 5)
    instance = starts[5].new_instances[0]
    assert await store.find_instance("default", instance.workflow_id) is None


async def test_loads_in_flight_together_answer_each_its_own(store: Store) -> None:
    starts = [a_start_transition() for _ in range(20)]
    await asyncio.gather(*map(store.commit, starts))
    ids = [start.changes[0].run.id for start in starts]
    asked = [*ids, "no-such-run", *ids]
    states = await asyncio.gather(*map(store.load_run, asked))
    expected = [apply(None, start.changes[0]) for start in starts]
    assert states == [*expected, None, *expected]


async def test_committed_transitions_survive_a_restart(
    store: Store, store_url: str
) -> None:
    start = a_start_transition()
    await store.commit(start)
    await store.close()
    again = open_store(store_url)
    await again.open()
    try:
        run_id = start.changes[0].run.id
        assert await again.load_run(run_id) == apply(None, start.changes[0])
    finally:
        await again.close()


async def test_store_that_was_closed_refuses_work(store: Store) -> None:
    await store.close()
    with pytest.raises(StoreError):
        await store.commit(a_start_transition())
    with pytest.raises(StoreError):
        await store.load_run("run")
    with pytest.raises(StoreError):
        await store.ping()
    await store.close()


async def test_close_finishes_the_commits_that_were_accepted(
    store: Store, store_url: str
) -> None:
    starts = [a_start_transition() for _ in range(20)]
    commits = [asyncio.create_task(store.commit(start)) for start in starts]
    # One turn of the loop, so that each commit has been called.
    await asyncio.sleep(0)
    await store.close()
    assert await asyncio.gather(*commits) == [True] * 20
    again = open_store(store_url)
    await again.open()
    try:
        for start in starts:
            assert await again.load_run(start.changes[0].run.id) is not None
    finally:
        await again.close()


async def test_store_opens_again_after_it_was_closed(store: Store) -> None:
    await store.close()
    await store.open()
    assert await store.commit(a_start_transition())

"""A run that is loaded equals what ``apply`` says, whatever has happened to it."""

from __future__ import annotations

from dataclasses import replace
from random import Random

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from dwserver.engine.model import RunState
from dwserver.engine.transition import NewActivity, Transition, apply
from dwserver.engine.words import ActivityStatus
from dwserver.store.api import Store
from tests.store.reading import full_history, loaded
from tests.support.builders import (
    a_change,
    a_run,
    a_start_transition,
    a_timer,
    an_activity,
)
from tests.support.random_changes import a_random_change


@settings(
    max_examples=40,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(random=st.randoms(use_true_random=False), length=st.integers(1, 8))
async def test_loaded_run_equals_apply(
    store: Store, random: Random, length: int
) -> None:
    start = a_start_transition()
    assert await store.commit(start)
    state = apply(None, start.changes[0])
    for _ in range(length):
        change = a_random_change(state, random)
        assert await store.commit(Transition(changes=(change,)))
        state = apply(state, change)
        assert await store.load_run(state.run.id) == state
    history = await full_history(store, state.run.id)
    assert [event.sequence for event in history] == list(
        range(1, state.run.last_sequence + 1)
    )


async def test_steps_are_loaded_in_rising_order(store: Store) -> None:
    run = a_run()
    steps = (7, 2, 9, 4)
    new = tuple(NewActivity(an_activity(run, step=step), None) for step in steps)
    timers = tuple(a_timer(run, step=step + 10) for step in steps)
    await store.commit(a_start_transition(run, new_activities=new, new_timers=timers))
    state = await loaded(store, run.id)
    assert list(state.activities) == [2, 4, 7, 9]
    assert list(state.timers) == [12, 14, 17, 19]


@pytest.mark.parametrize(
    ("batch_first", "batch_size", "is_held", "is_kept"),
    [
        (1, 1, False, True),
        (2, 1, False, False),
        (2, 1, True, True),
        (1, 0, False, False),
        (0, 0, False, False),
    ],
)
async def test_closed_activity_is_kept_while_it_matters(
    store: Store,
    batch_first: int,
    batch_size: int,
    *,
    is_held: bool,
    is_kept: bool,
) -> None:
    run = a_run()
    activity = an_activity(run, step=1)
    start = a_start_transition(run, new_activities=(NewActivity(activity, None),))
    await store.commit(start)
    closed = replace(activity, status=ActivityStatus.COMPLETED, is_held=is_held)
    change = a_change(
        run,
        run_fields={"batch_first": batch_first, "batch_size": batch_size},
        activities=(closed,),
    )
    await store.commit(Transition(changes=(change,)))
    state = await loaded(store, run.id)
    assert state.activities == ({1: closed} if is_kept else {})
    assert state == apply(apply(None, start.changes[0]), change)


async def test_rows_of_other_runs_are_not_loaded(store: Store) -> None:
    states: list[RunState] = []
    for _ in range(3):
        run = a_run()
        start = a_start_transition(
            run,
            new_activities=(NewActivity(an_activity(run, step=1), None),),
            new_timers=(a_timer(run, step=2),),
        )
        await store.commit(start)
        states.append(apply(None, start.changes[0]))
    for state in states:
        assert await store.load_run(state.run.id) == state

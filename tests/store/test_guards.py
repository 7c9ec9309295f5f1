"""Which transitions are applied, and that the others leave no trace."""

from __future__ import annotations

import asyncio
from dataclasses import replace

import pytest

from dwserver.engine.model import AppliedCommand, RunInput, RunState
from dwserver.engine.transition import (
    LeaseGuard,
    NewActivity,
    RunChange,
    Transition,
    apply,
)
from dwserver.engine.words import (
    RunStatus,
    SignalStatus,
    TaskStatus,
    UpdateStatus,
    WaitStatus,
)
from dwserver.store.api import Store
from tests.store.reading import loaded, traces_of
from tests.support.builders import (
    NOON,
    SECOND,
    a_change,
    a_child,
    a_closed_attempt,
    a_command,
    a_completion,
    a_failure,
    a_renewal,
    a_run,
    a_signal,
    a_start,
    a_start_transition,
    a_task,
    a_timer,
    a_transition,
    a_wait,
    an_activity,
    an_activity_step,
    an_event,
    an_id,
    an_instance,
    an_outbox_entry,
    an_update,
    leased,
)


async def started(store: Store, **fields: object) -> RunState:
    """A run that exists, with one ready workflow task."""
    transition = a_start_transition(a_run(**fields))
    assert await store.commit(transition)
    return apply(None, transition.changes[0])


async def test_start_reserves_the_workflow_id(store: Store) -> None:
    run = a_run()
    assert await store.commit(a_start_transition(run))
    instance = await store.find_instance(run.namespace, run.workflow_id)
    assert instance == an_instance(run)


async def test_start_on_a_taken_id_writes_nothing(store: Store) -> None:
    first = await started(store, workflow_id="order-1")
    again = a_start_transition(a_run(workflow_id="order-1"))
    before = await traces_of(store, again)
    assert not await store.commit(again)
    assert await traces_of(store, again) == before
    assert before.instances == [an_instance(first.run)]
    assert before.states == {again.changes[0].run.id: None}


async def test_start_on_an_id_of_another_namespace_is_free(store: Store) -> None:
    first = await started(store, workflow_id="order-1")
    other = await started(store, workflow_id="order-1", namespace="billing")
    for state in (first, other):
        run = state.run
        instance = await store.find_instance(run.namespace, "order-1")
        assert instance == an_instance(run)
        assert await store.find_run_view(run.namespace, run.id) is not None
    assert await store.find_run_view("billing", first.run.id) is None


async def test_starts_at_once_on_one_id_succeed_once(store: Store) -> None:
    starts = [a_start_transition(a_run(workflow_id="order-1")) for _ in range(8)]
    results = await asyncio.gather(*map(store.commit, starts))
    assert sorted(results) == [False] * 7 + [True]
    winner = starts[results.index(True)].changes[0].run
    assert await store.find_instance("default", "order-1") == an_instance(winner)
    for start, is_applied in zip(starts, results, strict=True):
        state = await store.load_run(start.changes[0].run.id)
        assert (state is not None) is is_applied


@pytest.mark.parametrize("base_version", [1, 3])
async def test_change_upon_another_version_writes_nothing(
    store: Store, base_version: int
) -> None:
    state = await started(store)
    run = state.run
    first = replace(
        an_activity_step(state),
        new_children=(a_child(run, step=20),),
        new_waits=(a_wait(run, step=21),),
        new_signals=(a_signal(run, sequence=2),),
        new_updates=(an_update(run, sequence=3),),
        commands=(a_command(run, sequence=3, request_id="request-3"),),
    )
    assert await store.commit(Transition(changes=(first,)))
    current = apply(state, first)
    stale = Transition(changes=(a_change_of_everything(current, base_version),))
    before = await traces_of(store, stale)
    assert not await store.commit(stale)
    assert await traces_of(store, stale) == before


def a_change_of_everything(state: RunState, base_version: int) -> RunChange:
    """A change with all kinds of rows."""
    run = state.run
    [task] = state.tasks.values()
    [activity] = state.activities.values()
    [child], [wait] = state.children.values(), state.waits.values()
    [signal], [update] = state.signals.values(), state.updates.values()
    step = run.last_step + 1
    return replace(
        a_change(
            run,
            run_fields={"status": RunStatus.FAILED, "compatibility": "build-9"},
            events=(an_event(run.last_sequence + 1), an_event(-step)),
            tasks=(replace(task, status=TaskStatus.FAILED),),
            new_tasks=(a_task(run),),
            activities=(replace(activity, attempt_count=7),),
            new_activities=(NewActivity(an_activity(run, step=step), None),),
            attempts=(a_closed_attempt(task),),
            new_timers=(a_timer(run, step=step + 1),),
            new_children=(a_child(run, step=step + 2),),
            children=(replace(child, attempt_count=7),),
            new_waits=(a_wait(run, step=step + 3),),
            waits=(replace(wait, status=WaitStatus.CLOSED),),
            new_signals=(a_signal(run, sequence=4),),
            signals=(replace(signal, status=SignalStatus.APPLIED),),
            new_updates=(an_update(run, sequence=5),),
            updates=(
                replace(update, status=UpdateStatus.FAILED, request_id="request-3"),
            ),
            commands=(a_command(run, sequence=5, request_id="request-5"),),
            applied_commands=(AppliedCommand(3, "applied", NOON),),
            failures=(a_failure(run),),
            outbox=(an_outbox_entry(run),),
            input=RunInput(arguments=None, search_attributes={"Customer": "c-2"}),
        ),
        base_version=base_version,
    )


async def test_change_of_a_run_that_does_not_exist_is_refused(store: Store) -> None:
    ghost = a_run()
    assert not await store.commit(a_transition(ghost, events=(an_event(3),)))
    assert await store.load_run(ghost.id) is None
    assert await store.history(ghost.id, after=0, upto=None, limit=10) == []


async def test_conflict_does_not_disturb_those_in_flight_beside_it(
    store: Store,
) -> None:
    states = [await started(store) for _ in range(9)]
    changes = [an_activity_step(state) for state in states]
    stale = {2, 5}
    transitions = [
        Transition(changes=(replace(change, base_version=9) if n in stale else change,))
        for n, change in enumerate(changes)
    ]
    results = await asyncio.gather(*map(store.commit, transitions))
    assert results == [n not in stale for n in range(9)]
    for n, (state, change) in enumerate(zip(states, changes, strict=True)):
        expected = state if n in stale else apply(state, change)
        assert await store.load_run(state.run.id) == expected


async def test_lease_guard_holds_while_the_expiry_is_the_same(store: Store) -> None:
    state, takeover = await leased_run(store)
    assert await store.commit(Transition(changes=(takeover,)))
    assert await store.load_run(state.run.id) == apply(state, takeover)


async def test_lease_guard_fails_after_a_renewal(store: Store) -> None:
    state, takeover = await leased_run(store)
    [task] = state.tasks.values()
    assert await store.renew_leases([a_renewal(task)]) == [True]
    assert not await store.commit(Transition(changes=(takeover,)))
    kept = await loaded(store, state.run.id)
    assert kept.run == state.run
    assert kept.tasks[task.id].status is TaskStatus.LEASED


async def test_lease_guard_fails_on_a_task_that_is_not_leased(store: Store) -> None:
    state = await started(store)
    [task] = state.tasks.values()
    for task_id in (task.id, "no-such-task"):
        guard = LeaseGuard(task_id, NOON + SECOND)
        assert not await store.commit(a_transition(state.run, lease_guards=(guard,)))
    assert await store.load_run(state.run.id) == state


async def leased_run(store: Store) -> tuple[RunState, RunChange]:
    """A run whose task is leased, and the change that takes the lease away."""
    run = a_run()
    task = leased(a_task(run))
    start = a_start_transition(run, new_tasks=(task,))
    assert await store.commit(start)
    assert task.lease_expires_at is not None
    takeover = a_change(
        run,
        tasks=(replace(task, status=TaskStatus.READY, lease_expires_at=None),),
        lease_guards=(LeaseGuard(task.id, task.lease_expires_at),),
    )
    return apply(None, start.changes[0]), takeover


@pytest.mark.parametrize("stale", [0, 1])
async def test_changes_of_several_runs_are_applied_together_or_not_at_all(
    store: Store, stale: int
) -> None:
    states = [await started(store), await started(store)]
    changes = [an_activity_step(state) for state in states]
    broken = [
        replace(change, base_version=5) if n == stale else change
        for n, change in enumerate(changes)
    ]
    assert not await store.commit(Transition(changes=tuple(broken)))
    for state in states:
        assert await store.load_run(state.run.id) == state
    assert await store.commit(Transition(changes=tuple(changes)))
    for state, change in zip(states, changes, strict=True):
        assert await store.load_run(state.run.id) == apply(state, change)


async def test_child_on_a_taken_id_stops_the_change_of_its_parent(
    store: Store,
) -> None:
    parent, taken = await started(store), await started(store)
    child = a_run(workflow_id=taken.run.workflow_id, parent_run_id=parent.run.id)
    free = a_run(parent_run_id=parent.run.id)
    transition = Transition(
        changes=(an_activity_step(parent), a_start(child), a_start(free)),
        new_instances=(an_instance(child), an_instance(free)),
    )
    assert not await store.commit(transition)
    assert await store.load_run(parent.run.id) == parent
    assert await store.load_run(child.id) is None
    assert await store.load_run(free.id) is None
    assert await store.find_instance("default", free.workflow_id) is None


async def test_continued_run_becomes_the_current_one(store: Store) -> None:
    state = await started(store)
    old = state.run
    new = replace(
        old, id=an_id("run"), run_number=2, continued_from_run_id=old.id, version=1
    )
    moved = replace(an_instance(old), current_run_id=new.id, run_count=2)
    continued = Transition(
        changes=(a_completion(old), a_start(new)), instances=(moved,)
    )
    assert await store.commit(continued)
    assert not await store.commit(continued)
    assert await store.find_instance(old.namespace, old.workflow_id) == moved
    views = await store.runs_of_instance(old.namespace, old.workflow_id)
    assert [view.run.id for view in views] == [old.id, new.id]
    assert {view.current_run_id for view in views} == {new.id}
    assert {view.run_count for view in views} == {2}

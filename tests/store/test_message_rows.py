"""Children, waits and messages are written, changed and read back whole."""

from __future__ import annotations

from dataclasses import fields, replace
from typing import Any

import pytest

from dwserver.engine.model import (
    Child,
    Command,
    OutboxEntry,
    Payload,
    RetryPolicy,
    Run,
    Signal,
    Update,
    Wait,
)
from dwserver.engine.transition import apply
from dwserver.engine.words import (
    ChildStatus,
    CommandStatus,
    CommandType,
    EventType,
    ParentClosePolicy,
    SignalStatus,
    UpdateStatus,
    WaitFor,
    WaitStatus,
)
from dwserver.store.api import Store
from tests.store.reading import loaded
from tests.support.builders import (
    NOON,
    a_child,
    a_command,
    a_run,
    a_signal,
    a_start_transition,
    a_transition,
    a_wait,
    an_event,
    an_id,
    an_outbox_entry,
    an_update,
)

DOCUMENT = {"text": "naïve Ω 🜚", "list": [1, None, False, {"deep": {}}], "n": -1.5}
BIG = 2**53 - 1


def full_child(run: Run) -> Child:
    return a_child(
        run,
        step=10,
        batch=9,
        status=ChildStatus.FAILED,
        child_run_number=3,
        attempt_count=2,
        parent_close_policy=ParentClosePolicy.REQUEST_CANCEL,
        retry_policy=RetryPolicy(
            max_attempts=3,
            backoff_seconds=(1, 2),
            non_retryable_error_types=("Böse",),
            start_to_close_timeout=1,
            schedule_to_start_timeout=2,
            schedule_to_close_timeout=3,
            heartbeat_timeout=4,
        ),
        parallel=DOCUMENT,
        closed_at=NOON + 7,
        is_held=True,
    )


def full_wait(run: Run) -> Wait:
    return a_wait(
        run,
        step=11,
        batch=9,
        wait_for=WaitFor.SIGNAL,
        status=WaitStatus.TIMED_OUT,
        name="approve Ω",
        condition_key="ready",
        fingerprint="f1",
        timeout_seconds=BIG,
        parallel=DOCUMENT,
        closed_at=NOON + 8,
        is_held=True,
    )


def full_signal(run: Run) -> Signal:
    """As full as one that is loaded can be."""
    return a_signal(
        run, sequence=BIG, name="approve Ω", event_sequence=7, step=11, applied_at=1
    )


def full_update(run: Run) -> Update:
    return an_update(
        run,
        sequence=BIG,
        name="set Ω",
        status=UpdateStatus.FAILED,
        request_id="request Ω",
        event_sequence=8,
        step=12,
        result=Payload("json", '"Ω"'),
        failure_id="failure-1",
        failure_message="naïve\nΩ",
        applied_at=NOON + 1,
        closed_at=NOON + 2,
    )


def full_command(run: Run) -> Command:
    return a_command(
        run,
        sequence=2,
        command_type=CommandType.UPDATE,
        status=CommandStatus.REJECTED,
        outcome="rejected",
        target_name="approve",
        rejection_reason="unknown_signal",
        request_id="request-1",
        payload=Payload("json", '"Ω"'),
        context=DOCUMENT,
        applied_at=NOON + 3,
    )


def full_entry(run: Run) -> OutboxEntry:
    return an_outbox_entry(run, payload=DOCUMENT, available_at=NOON - 3)


@pytest.mark.parametrize(
    "make", [full_child, full_wait, full_signal, full_update, full_command, full_entry]
)
def test_full_records_leave_nothing_at_its_default(make: Any) -> None:
    """Else the tests below would not see that a column is missing."""
    record = make(a_run())
    assert not [
        field.name
        for field in fields(record)
        if getattr(record, field.name) == field.default
    ]


async def test_new_rows_are_read_back_whole(store: Store) -> None:
    run = a_run(batch_first=9, batch_size=3)
    child, wait, signal = full_child(run), full_wait(run), full_signal(run)
    update, command, entry = full_update(run), full_command(run), full_entry(run)
    open_update = replace(full_update(run), sequence=3, status=UpdateStatus.ACCEPTED)
    transition = a_start_transition(
        run,
        new_children=(child,),
        new_waits=(wait,),
        new_signals=(signal,),
        new_updates=(update, open_update),
        commands=(command,),
        outbox=(entry,),
    )
    assert await store.commit(transition)
    state = await loaded(store, run.id)
    assert state.children == {10: child}
    assert state.waits == {11: wait}
    assert state.signals == {BIG: signal}
    assert state.updates == {3: open_update}
    assert await store.find_update(update.id) == update
    assert await store.find_command(run.id, "request-1") == command
    assert await store.due_outbox(now=NOON, limit=9) == [entry]


async def test_new_rows_without_optional_values_are_read_back_whole(
    store: Store,
) -> None:
    run = a_run()
    child = a_child(run, step=1, retry_policy=RetryPolicy(), parallel={})
    wait, signal = a_wait(run, step=2, parallel={}), a_signal(run, sequence=2)
    update, entry = an_update(run, sequence=3), an_outbox_entry(run)
    command = a_command(run, sequence=3, request_id="", context={})
    transition = a_start_transition(
        run,
        new_children=(child,),
        new_waits=(wait,),
        new_signals=(signal,),
        new_updates=(update,),
        commands=(command,),
        outbox=(entry,),
    )
    assert await store.commit(transition)
    state = await loaded(store, run.id)
    assert state == apply(None, transition.changes[0])
    assert (state.children, state.waits) == ({1: child}, {2: wait})
    assert (state.signals, state.updates) == ({2: signal}, {3: update})
    assert await store.find_command(run.id, "") == command
    assert await store.due_outbox(now=NOON, limit=9) == [entry]


async def test_changed_child_is_read_back_whole(store: Store) -> None:
    run = a_run(batch_first=9, batch_size=3)
    full = full_child(run)
    first = replace(
        full,
        status=ChildStatus.SCHEDULED,
        child_run_id=an_id("run"),
        child_run_number=1,
        attempt_count=1,
        closed_at=None,
        is_held=False,
    )
    assert await store.commit(a_start_transition(run, new_children=(first,)))
    assert await store.commit(a_transition(run, children=(full,)))
    assert (await loaded(store, run.id)).children == {10: full}


async def test_changed_wait_is_read_back_whole(store: Store) -> None:
    run = a_run(batch_first=9, batch_size=3)
    full = full_wait(run)
    first = replace(full, status=WaitStatus.OPEN, closed_at=None, is_held=False)
    assert await store.commit(a_start_transition(run, new_waits=(first,)))
    assert await store.commit(a_transition(run, waits=(full,)))
    assert (await loaded(store, run.id)).waits == {11: full}


async def test_changed_messages_are_read_back_whole(store: Store) -> None:
    run = a_run()
    signal, update = full_signal(run), full_update(run)
    bare = a_signal(
        run,
        sequence=BIG,
        id=signal.id,
        command_id=signal.command_id,
        name=signal.name,
    )
    first = an_update(
        run,
        sequence=BIG,
        id=update.id,
        command_id=update.command_id,
        name=update.name,
        request_id=update.request_id,
    )
    start = a_start_transition(run, new_signals=(bare,), new_updates=(first,))
    assert await store.commit(start)
    assert await store.find_update(update.id) == first
    assert await store.commit(a_transition(run, signals=(signal,), updates=(update,)))
    state = await loaded(store, run.id)
    assert (state.signals, state.updates) == ({BIG: signal}, {})
    assert await store.find_update(update.id) == update
    cleared = a_transition(state.run, signals=(bare,), updates=(first,))
    assert await store.commit(cleared)
    state = await loaded(store, run.id)
    assert (state.signals, state.updates) == ({BIG: bare}, {BIG: first})


@pytest.mark.parametrize("status", SignalStatus)
async def test_signals_are_loaded_until_they_are_applied(
    store: Store, status: SignalStatus
) -> None:
    run = a_run()
    signals = [a_signal(run, sequence=sequence) for sequence in (4, 2, 3)]
    assert await store.commit(a_start_transition(run, new_signals=tuple(signals)))
    assert list((await loaded(store, run.id)).signals) == [2, 3, 4]
    change = replace(signals[1], status=status)
    assert await store.commit(a_transition(run, signals=(change,)))
    found = (await loaded(store, run.id)).signals
    assert list(found) == ([2, 3, 4] if status is SignalStatus.RECEIVED else [3, 4])


@pytest.mark.parametrize("status", UpdateStatus)
async def test_updates_are_loaded_until_they_are_closed(
    store: Store, status: UpdateStatus
) -> None:
    run = a_run()
    updates = [an_update(run, sequence=sequence) for sequence in (4, 2, 3)]
    assert await store.commit(a_start_transition(run, new_updates=tuple(updates)))
    assert list((await loaded(store, run.id)).updates) == [2, 3, 4]
    change = replace(updates[1], status=status)
    assert await store.commit(a_transition(run, updates=(change,)))
    found = (await loaded(store, run.id)).updates
    assert list(found) == ([2, 3, 4] if status is UpdateStatus.ACCEPTED else [3, 4])
    assert await store.find_update(change.id) == change


@pytest.mark.parametrize(
    ("child", "wait", "is_kept"),
    [
        ({"status": ChildStatus.SCHEDULED}, {}, True),
        ({"status": ChildStatus.STARTED}, {"wait_for": WaitFor.SIGNAL}, True),
        ({"status": ChildStatus.ABANDONED}, {"status": WaitStatus.CLOSED}, False),
        (
            {"status": ChildStatus.TERMINATED, "is_held": True},
            {"status": WaitStatus.SATISFIED, "is_held": True},
            True,
        ),
    ],
)
@pytest.mark.parametrize("is_newest", [False, True])
async def test_children_and_waits_are_kept_while_they_matter(
    store: Store,
    child: dict[str, Any],
    wait: dict[str, Any],
    *,
    is_kept: bool,
    is_newest: bool,
) -> None:
    run = a_run(batch_first=1 if is_newest else 3, batch_size=2)
    start = a_start_transition(
        run,
        new_children=(a_child(run, step=1, **child),),
        new_waits=(a_wait(run, step=2, **wait),),
    )
    assert await store.commit(start)
    state = await loaded(store, run.id)
    assert state == apply(None, start.changes[0])
    assert (1 in state.children, 2 in state.waits) == (is_kept or is_newest,) * 2


async def test_rows_of_other_runs_are_not_loaded(store: Store) -> None:
    states = []
    for _ in range(3):
        run = a_run()
        start = a_start_transition(
            run,
            new_children=(a_child(run, step=2), a_child(run, step=1)),
            new_waits=(a_wait(run, step=4), a_wait(run, step=3)),
            new_signals=(a_signal(run, sequence=2),),
            new_updates=(an_update(run, sequence=3),),
        )
        assert await store.commit(start)
        states.append(apply(None, start.changes[0]))
    for state in states:
        found = await loaded(store, state.run.id)
        assert found == state
        assert (list(found.children), list(found.waits)) == ([1, 2], [3, 4])


async def test_every_word_of_the_vocabularies_is_stored(store: Store) -> None:
    run = a_run(batch_first=1, batch_size=30)
    children = [
        a_child(run, step=step, status=status)
        for step, status in enumerate(ChildStatus, start=1)
    ]
    children += [
        a_child(run, step=step, parent_close_policy=policy)
        for step, policy in enumerate(ParentClosePolicy, start=10)
    ]
    waits = [
        a_wait(run, step=step, status=status)
        for step, status in enumerate(WaitStatus, start=20)
    ]
    waits += [
        a_wait(run, step=step, wait_for=thing)
        for step, thing in enumerate(WaitFor, start=26)
    ]
    start = a_start_transition(
        run,
        events=(
            an_event(1),
            *(
                an_event(sequence, event_type=word)
                for sequence, word in enumerate(EventType, start=2)
            ),
        ),
        new_children=tuple(children),
        new_waits=tuple(waits),
    )
    assert await store.commit(start)
    state = await loaded(store, run.id)
    assert list(state.children.values()) == children
    assert list(state.waits.values()) == waits

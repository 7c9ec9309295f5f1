"""Commands, payloads, updates and children as services ask for them; held events."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from dwserver.engine import held
from dwserver.engine.context import Context, Policy
from dwserver.engine.draft import Draft
from dwserver.engine.model import (
    AppliedCommand,
    Payload,
    Run,
)
from dwserver.engine.transition import ReleasedEvent, Transition
from dwserver.engine.words import (
    ChildStatus,
    CommandType,
    UpdateStatus,
)
from dwserver.store.api import Store, StoreError
from tests.store.reading import full_history, loaded
from tests.support.builders import (
    NOON,
    a_change,
    a_child,
    a_command,
    a_run,
    a_signal,
    a_start_transition,
    a_transition,
    an_event,
    an_id,
    an_update,
)


async def started(store: Store, **fields: Any) -> Run:
    run = a_run()
    assert await store.commit(a_start_transition(run, **fields))
    return run


async def test_applied_command_gets_its_outcome(store: Store) -> None:
    run = a_run()
    commands = [
        a_command(run, sequence=sequence, request_id=f"request-{sequence}")
        for sequence in (1, 2, 3)
    ]
    await store.commit(a_start_transition(run, commands=tuple(commands)))
    other = await started(store, commands=(a_command(a_run(), sequence=2),))
    applied = AppliedCommand(2, "update_completed", NOON + 9)
    assert await store.commit(a_transition(run, applied_commands=(applied,)))
    assert await store.find_command(run.id, "request-2") == replace(
        commands[1], outcome="update_completed", applied_at=NOON + 9
    )
    assert await store.find_command(run.id, "request-1") == commands[0]
    assert await store.find_command(run.id, "request-3") == commands[2]
    assert await store.find_command(other.id, "request-2") is None


async def test_command_that_is_recorded_and_applied_at_once(store: Store) -> None:
    run = await started(store)
    context = Context(now=NOON, next_id=an_id, encode=lambda _: b"{}", policy=Policy())
    draft = Draft(await loaded(store, run.id), context)
    command = a_command(run, sequence=2, request_id="request-1", outcome="received")
    draft.record_command(command)
    draft.apply_command(AppliedCommand(2, "first", NOON + 1))
    draft.apply_command(AppliedCommand(2, "second", NOON + 2))
    draft.apply_command(AppliedCommand(1, "first", NOON + 1))
    draft.apply_command(AppliedCommand(1, "second", NOON + 2))
    change = draft.freeze()
    assert change.applied_commands == (AppliedCommand(1, "second", NOON + 2),)
    assert await store.commit(Transition(changes=(change,)))
    assert await store.find_command(run.id, "request-1") == replace(
        command, outcome="second", applied_at=NOON + 2
    )


async def test_message_payloads_are_found_by_their_commands(store: Store) -> None:
    run = a_run()
    commands = [
        a_command(run, sequence=1, payload=Payload("avro", "AAAA")),
        a_command(run, sequence=2, payload=None),
        a_command(run, sequence=3, payload=Payload("json", '"Ω"')),
    ]
    await store.commit(a_start_transition(run, commands=tuple(commands)))
    other = await started(store)
    assert await store.message_payloads(run.id, [3, 2, 99]) == {
        3: Payload("json", '"Ω"'),
        2: None,
    }
    assert await store.message_payloads(run.id, []) == {}
    assert await store.message_payloads(other.id, [2, 3]) == {}


async def test_command_is_found_by_its_request_id(store: Store) -> None:
    run = a_run()
    types = (CommandType.SIGNAL, CommandType.UPDATE, CommandType.UPDATE)
    commands = [
        a_command(run, sequence=sequence, command_type=kind, request_id="request-1")
        for sequence, kind in zip((4, 5, 6), types, strict=True)
    ]
    start = a_start_transition(run, commands=(a_command(run), *reversed(commands)))
    await store.commit(start)
    other = await started(store)
    find = store.find_command
    assert await find(run.id, "request-1") == commands[0]
    kinds = {CommandType.SIGNAL: commands[0], CommandType.UPDATE: commands[1]}
    for kind, command in kinds.items():
        assert await find(run.id, "request-1", command_type=kind) == command
    assert await find(run.id, "request-1", command_type=CommandType.START) is None
    assert await find(run.id, "request-2") is None
    assert await find(other.id, "request-1") is None


async def test_command_is_found_among_the_runs_of_its_workflow_id(store: Store) -> None:
    """Those before a run, as far back as is asked; the newest of several."""
    first = a_run()
    runs = [first] + [
        replace(first, id=an_id(), run_number=number) for number in range(2, 6)
    ]
    other = a_run(workflow_id="another")
    asked = {1: "start", 2: "both", 3: "both", 5: "last"}
    for run in (*runs, other):
        request_id = asked.get(run.run_number)
        commands = [
            a_command(run, sequence=n, command_type=kind, request_id=request_id)
            for n, kind in ((2, CommandType.UPDATE), (3, CommandType.SIGNAL))
        ]
        start = a_start_transition(run, commands=tuple(commands))
        if run in runs[1:]:
            start = replace(start, instances=(), new_instances=())
        assert await store.commit(start)

    async def found(run: Run, request_id: str, *, runs: int) -> str | None:
        command = await store.find_command_of_workflow(
            run, request_id, command_type=CommandType.SIGNAL, runs=runs
        )
        assert command is None or command.sequence == 3
        return command.run_id if command else None

    assert await found(runs[4], "both", runs=5) == runs[2].id
    assert await found(runs[1], "both", runs=2) == runs[1].id
    assert await found(runs[3], "last", runs=4) is None
    assert await found(runs[4], "last", runs=1) == runs[4].id
    assert await found(runs[4], "start", runs=5) == runs[0].id
    assert await found(runs[4], "start", runs=4) is None
    assert await found(runs[4], "never", runs=5) is None
    assert await found(other, "both", runs=5) is None


async def test_command_numbers_are_unique_in_a_run(store: Store) -> None:
    run = await started(store)
    again = a_transition(run, commands=(a_command(run, sequence=1),))
    with pytest.raises(StoreError):
        await store.commit(again)
    assert (await loaded(store, run.id)).run.version == 1


async def test_update_is_found_by_its_id_and_by_its_command(store: Store) -> None:
    run = a_run()
    update = an_update(run, sequence=2)
    await store.commit(a_start_transition(run, new_updates=(update,)))
    other = await started(store)
    assert await store.find_update(update.id) == update
    assert await store.find_update("no-such-update") is None
    assert await store.find_update_of_command(run.id, 2) == update
    assert await store.find_update_of_command(run.id, 3) is None
    assert await store.find_update_of_command(other.id, 2) is None


async def test_update_that_was_left_to_another_run_is_found_there(
    store: Store,
) -> None:
    run, successor = a_run(), a_run()
    update = an_update(run, sequence=2)
    carried = replace(
        update, run_id=successor.id, sequence=1, accepted_at=update.accepted_at + 1
    )
    await store.commit(a_start_transition(run, new_updates=(update,)))
    await store.commit(a_start_transition(successor, new_updates=(carried,)))
    assert await store.find_update(update.id) == carried
    closed = replace(
        carried,
        status=UpdateStatus.COMPLETED,
        closed_at=update.accepted_at,
    )
    await store.commit(a_transition(successor, updates=(closed,)))
    assert await store.find_update(update.id) == closed
    assert await store.find_update_of_command(run.id, 2) == update


async def test_open_children_of_several_runs(store: Store) -> None:
    runs = [a_run(batch_first=1, batch_size=6), a_run(), a_run()]
    calls = {}
    for run in runs:
        children = [
            a_child(run, step=step, status=status, is_held=status.is_open)
            for step, status in reversed(list(enumerate(ChildStatus, start=1)))
        ]
        held_one = a_child(run, step=9, status=ChildStatus.FAILED, is_held=True)
        await store.commit(a_start_transition(run, new_children=(*children, held_one)))
        opened = [child for child in children if child.is_open]
        calls[run.id] = sorted(opened, key=lambda child: child.step)
    asked = [runs[2].id, runs[0].id, "no-such-run"]
    assert await store.open_children(asked) == [*calls[runs[0].id], *calls[runs[2].id]]
    assert await store.open_children([]) == []


async def test_messages_are_held_beyond_steps_and_released_in_order(
    store: Store,
) -> None:
    run = a_run(last_step=2)
    message = a_signal(run, sequence=2)
    later = an_update(run, sequence=3)
    child = a_child(run, step=2, status=ChildStatus.COMPLETED, is_held=True)
    places = [held.of_step(child), held.of_message(message), held.of_message(later)]
    waiting = [an_event(place) for place in places]
    await store.commit(a_start_transition(run))
    change = a_change(run, events=tuple(waiting))
    assert await store.commit(Transition(changes=(change,)))
    assert [event.sequence for event in await full_history(store, run.id)] == [1, 2]
    released = tuple(
        ReleasedEvent(place, sequence, NOON + 50 + sequence)
        for sequence, place in enumerate(places, start=3)
    )
    change = a_change(change.run, released=released)
    assert await store.commit(Transition(changes=(change,)))
    history = await full_history(store, run.id)
    assert [event.sequence for event in history] == [1, 2, 3, 4, 5]
    assert [event.id for event in history[2:]] == [event.id for event in waiting]
    assert [event.recorded_at for event in history[2:]] == [
        NOON + 53,
        NOON + 54,
        NOON + 55,
    ]

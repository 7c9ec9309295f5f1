"""Reading back through the Store what a transition has written, or has not."""

from __future__ import annotations

from dataclasses import dataclass

from dwserver.engine.model import (
    Child,
    ClosedAttempt,
    Command,
    Failure,
    Instance,
    OutboxEntry,
    Payload,
    RunState,
    Task,
    Update,
)
from dwserver.engine.transition import Transition
from dwserver.store.api import RunView, Store, StoredEvent

ALL = 10_000
AFTER_ALL = 2**62


@dataclass(frozen=True, slots=True)
class Traces:
    """All that the Store tells about the rows that a transition names."""

    states: dict[str, RunState | None]
    views: dict[str, RunView | None]
    histories: dict[str, list[StoredEvent]]
    failures: dict[str, list[Failure]]
    tasks: dict[str, Task | None]
    attempts: dict[str, ClosedAttempt | None]
    arguments: dict[str, Payload | None]
    messages: dict[str, dict[int, Payload | None]]
    commands: dict[tuple[str, str], Command | None]
    updates: dict[str, Update | None]
    children: list[Child]
    outbox: list[OutboxEntry]
    instances: list[Instance | None]


async def traces_of(store: Store, transition: Transition) -> Traces:
    changes = transition.changes
    namespaces = {change.run.id: change.run.namespace for change in changes}
    named = [*transition.new_instances, *transition.instances]
    tasks = [task for c in changes for task in (*c.new_tasks, *c.tasks)]
    attempts = [attempt.id for c in changes for attempt in c.attempts]
    activities = [new.activity.id for c in changes for new in c.new_activities]
    updates = [update for c in changes for update in (*c.new_updates, *c.updates)]
    commands = [command for c in changes for command in c.commands]
    asked = {
        (each.run_id, each.request_id)
        for each in (*commands, *updates)
        if each.request_id is not None
    }
    return Traces(
        states={id_: await store.load_run(id_) for id_ in namespaces},
        views={
            id_: await store.find_run_view(namespace, id_)
            for id_, namespace in namespaces.items()
        },
        histories={id_: await full_history(store, id_) for id_ in namespaces},
        failures={
            id_: await store.failures_of_run(id_, limit=ALL) for id_ in namespaces
        },
        tasks={t.id: await store.find_task(t.namespace, t.id) for t in tasks},
        attempts={id_: await store.find_closed_attempt(id_) for id_ in attempts},
        arguments=await store.activity_arguments(activities),
        messages={
            c.run.id: await store.message_payloads(
                c.run.id, [command.sequence for command in c.commands]
            )
            for c in changes
        },
        commands={key: await store.find_command(*key) for key in sorted(asked)},
        updates={
            u.id: await store.find_update_of_command(u.run_id, u.sequence)
            for u in updates
        },
        children=await store.open_children(list(namespaces)),
        outbox=[
            entry
            for entry in await store.due_outbox(now=AFTER_ALL, limit=ALL)
            if entry.run_id in namespaces
        ],
        instances=[
            await store.find_instance(i.namespace, i.workflow_id) for i in named
        ],
    )


async def full_history(store: Store, run_id: str) -> list[StoredEvent]:
    return await store.history(run_id, after=0, upto=None, limit=ALL)


async def loaded(store: Store, run_id: str) -> RunState:
    """The state of a run that exists."""
    state = await store.load_run(run_id)
    assert state is not None
    return state

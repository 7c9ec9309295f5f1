"""Reading back through the Store what a transition has written, or has not."""

from __future__ import annotations

from dataclasses import dataclass

from dwserver.engine.model import (
    ClosedAttempt,
    Failure,
    Instance,
    Payload,
    RunState,
    Task,
)
from dwserver.engine.transition import Transition
from dwserver.store.api import RunView, Store, StoredEvent

ALL = 10_000


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
    instances: list[Instance | None]


async def traces_of(store: Store, transition: Transition) -> Traces:
    changes = transition.changes
    namespaces = {change.run.id: change.run.namespace for change in changes}
    named = [*transition.new_instances, *transition.instances]
    tasks = [task for c in changes for task in (*c.new_tasks, *c.tasks)]
    attempts = [attempt.id for c in changes for attempt in c.attempts]
    activities = [new.activity.id for c in changes for new in c.new_activities]
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

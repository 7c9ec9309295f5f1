"""Read everything about a run as of one moment."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import orjson

from dwserver.engine.model import ClosedAttempt, Failure, Run, Task
from dwserver.engine.words import EventType
from dwserver.services.runs import RunContended
from dwserver.services.workflows import RunDetail, Workflows
from dwserver.store.api import Store, StoredEvent, WholeRun

# Looks at a run that changes all the time before its caller is told to repeat.
MAX_LOOKS = 5
EVENTS_AT_ONCE = 1000
MAX_FAILURES = 10_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Collected:
    """``tasks``: those that are open or that events name. ``attempts``: closed ones
    that events name. ``parent_workflow_id``: whose child the run is."""

    detail: RunDetail
    whole: WholeRun
    events: tuple[StoredEvent, ...]
    tasks: tuple[Task, ...]
    attempts: tuple[ClosedAttempt, ...]
    failures: tuple[Failure, ...]
    parent_workflow_id: str | None


async def collect(
    store: Store, workflows: Workflows, *, namespace: str, workflow_id: str, run_id: str
) -> Collected | None:
    """None when the workflow id does not have this run. Raises
    :class:`RunContended`."""
    for _ in range(MAX_LOOKS):
        detail = await workflows.describe(namespace, workflow_id, run_id)
        if detail is None:
            return None
        found = await _collected(store, detail)
        again = await store.find_run_view(namespace, run_id)
        if again is not None and again.run.version == detail.view.run.version:
            return found
    raise RunContended(run_id)


async def _collected(store: Store, detail: RunDetail) -> Collected:
    run = detail.view.run
    events: list[StoredEvent] = []
    while page := await store.history(
        run.id,
        after=events[-1].sequence if events else 0,
        upto=run.last_sequence,
        limit=EVENTS_AT_ONCE,
    ):
        events += page
    open_tasks = detail.state.tasks if detail.state else {}
    task_ids = {event.task_id for event in events if event.task_id} | open_tasks.keys()
    return Collected(
        detail=detail,
        whole=await store.whole_run(run),
        events=tuple(events),
        tasks=tuple(await store.tasks_by_id(sorted(task_ids))),
        attempts=tuple(
            await store.closed_attempts_by_id(sorted(set(_attempt_ids(events))))
        ),
        failures=tuple(await store.failures_of_run(run.id, limit=MAX_FAILURES))[::-1],
        parent_workflow_id=await _workflow_id_of(store, run.parent_run_id, run),
    )


async def _workflow_id_of(store: Store, run_id: str | None, near: Run) -> str | None:
    """The workflow id of a run of the same namespace."""
    if run_id is None:
        return None
    view = await store.find_run_view(near.namespace, run_id)
    return view.run.workflow_id if view else None


def _attempt_ids(events: list[StoredEvent]) -> Iterator[str]:
    for event in events:
        if event.event_type == EventType.ACTIVITY_STARTED:
            yield orjson.loads(event.payload)["activity_attempt_id"]

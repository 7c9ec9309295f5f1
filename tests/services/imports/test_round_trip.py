"""A run that moves goes on as if it had always been where it is
(``spec/history-bundles.md`` §5.5)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import pytest

from dwserver.engine.model import Activity, Run, RunState
from dwserver.engine.words import ActivityStatus, TaskStatus
from dwserver.store.api import RunFilter
from tests.durability.checker import check_standing
from tests.services.imports.moving import accepted, as_embedded, embedded, exported
from tests.services.imports.stories import STORIES, Step
from tests.support.small_server import NAMESPACE, SmallServer
from tests.support.stored_state import read_state


async def is_quiet(server: SmallServer, run: Run) -> bool:
    """No worker holds anything of the run."""
    tasks = (await server.state(run.id)).tasks.values()
    return not any(task.status is TaskStatus.LEASED for task in tasks)


async def tell(server: SmallServer, steps: Sequence[Step], workflow_id: str) -> None:
    for step in steps:
        await step(server, workflow_id)


def comparable(state: RunState) -> dict[str, Any]:
    """The hot state but for what no bundle tells: commands that were refused, how often
    a workflow task failed in a row, what a child was given and when it closed (its end
    may have come into history later), by which id the task of a timer is known."""
    run = replace(
        state.run,
        version=0,
        command_sequence=0,
        task_failures=0,
        history_bytes=0,
        inherits_children=False,
    )
    if run.status.is_terminal:
        # Nothing is sent again, and no step is waited for; which of them are in memory
        # depends on what was held back.
        run = replace(run, batch_resolved_sequence=0)
        state = RunState(run, state.tasks)
    return {
        "run": run,
        "tasks": {
            key: replace(task, attempt_id=None, snapshot_sequence=0, last_error=None)
            for key, task in state.tasks.items()
        },
        "activities": {
            key: _with_deadlines_that_count(each)
            for key, each in state.activities.items()
        },
        "timers": {
            key: replace(timer, task_id="", is_held=False)
            for key, timer in state.timers.items()
        },
        "children": {
            key: replace(child, digest="", closed_at=None)
            for key, child in state.children.items()
        },
        "waits": state.waits,
        "signals": state.signals,
        "updates": state.updates,
    }


def _with_deadlines_that_count(activity: Activity) -> Activity:
    if activity.status is ActivityStatus.PENDING:
        return activity
    if activity.is_open:
        return replace(activity, schedule_deadline_at=None)
    return replace(
        activity,
        schedule_deadline_at=None,
        close_deadline_at=None,
        schedule_to_close_deadline_at=None,
        heartbeat_deadline_at=None,
    )


def told(bundle: Mapping[str, Any]) -> dict[str, Any]:
    """What a bundle says of the run itself."""
    ours = {
        name: value
        for name, value in bundle.items()
        if name not in ("exported_at", "integrity")
    }
    return {
        **ours,
        "summary": {k: v for k, v in ours["summary"].items() if k != "liveness_reason"},
    }


async def runs_of(server: SmallServer) -> list[Run]:
    """All runs of the server, the oldest first."""
    views, has_more = await server.services.workflows.find_runs(
        RunFilter(NAMESPACE), after=None, limit=100
    )
    assert not has_more
    return sorted((view.run for view in views), key=lambda run: run.id)


async def ending_of(server: SmallServer, run: Run) -> dict[str, Any]:
    """What came of a run, without the names that things got."""
    view = await server.faults.real.find_run_view(NAMESPACE, run.id)
    assert view is not None
    events = await server.faults.real.history(run.id, after=0, upto=None, limit=1000)
    return {
        "status": view.run.status,
        "closed_reason": view.run.closed_reason,
        "closed_at": view.run.closed_at,
        "last_step": view.run.last_step,
        "output": view.output,
        "events": [
            (event.sequence, event.event_type, event.recorded_at) for event in events
        ],
    }


BOUNDARIES = [
    (name, taken) for name, steps in STORIES.items() for taken in range(len(steps) + 1)
]


@pytest.mark.full
@pytest.mark.parametrize(("name", "taken"), BOUNDARIES)
async def test_a_run_moves_at_any_boundary(
    name: str, taken: int, source: SmallServer, target: SmallServer, store_url: str
) -> None:
    await move(name, taken, source=source, target=target, url=store_url)


@pytest.mark.parametrize("name", STORIES)
async def test_a_run_moves_in_the_middle(
    name: str, source: SmallServer, target: SmallServer, store_url: str
) -> None:
    taken = (len(STORIES[name]) + 1) // 2
    await move(name, taken, source=source, target=target, url=store_url)


async def move(
    name: str, taken: int, *, source: SmallServer, target: SmallServer, url: str
) -> None:
    """After so many steps; the others are taken on both servers."""
    steps = STORIES[name]
    await source.start(name)
    await tell(source, steps[:taken], name)
    runs = await runs_of(source)
    target.clock.advance(microseconds=source.clock.now() - target.clock.now())
    bundles = [await embedded(source, run) for run in runs]
    for run, bundle in zip(runs, bundles, strict=True):
        assert await is_quiet(source, run)
        await accepted(target, bundle)
    for run, bundle in zip(runs, bundles, strict=True):
        there, here = await target.state(run.id), await source.state(run.id)
        assert comparable(there) == comparable(here)
        again = as_embedded(await exported(target, run))
        assert told(again) == told(bundle)
    target.core.matcher.sweep()
    for server in (source, target):
        await tell(server, steps[taken:], name)
    for run in runs:
        assert await ending_of(target, run) == await ending_of(source, run)
    assert check_standing(read_state(url)) == []

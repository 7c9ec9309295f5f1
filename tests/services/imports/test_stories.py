"""Whatever a run has come to, it is the same after it has moved."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings
from hypothesis.stateful import run_state_machine_as_test

from dwserver.engine.imports.eligibility import Rule
from dwserver.engine.model import RunState
from dwserver.engine.words import TaskStatus
from dwserver.services.history_imports.reports import ImportStatus
from dwserver.store.opening import open_store
from tests.durability.checker import check_standing
from tests.services.imports.moving import embedded, imported
from tests.services.imports.test_round_trip import comparable, runs_of
from tests.services.test_stories import MakeDatabase, NodeStory, sqlite_database
from tests.support.small_server import SmallServer, small_server
from tests.support.stored_state import read_state


class MovingStory(NodeStory):
    """A story whose runs move to another server in the end."""

    template: Path

    def teardown(self) -> None:
        try:
            self.run(self._do_what_is_due())
            with sqlite_database(self.template) as url:
                self.run(self._move(url))
                problems = check_standing(read_state(url))
                # Commands that were refused and left no event are not exported.
                assert [p for p in problems if " has commands " not in p] == []
        finally:
            super().teardown()

    async def _move(self, url: str) -> None:
        store = open_store(url)
        await store.open()
        try:
            async with small_server(store, first_id=10**9) as target:
                target.clock.advance(
                    microseconds=self.server.clock.now() - target.clock.now()
                )
                await move_all(self.server, target)
        finally:
            await store.close()


async def move_all(source: SmallServer, target: SmallServer) -> None:
    for run in await runs_of(source):
        here = await source.state(run.id)
        done = await imported(target, await embedded(source, run))
        errors = [each["rule"] for each in done.report["eligibility"]["errors"]]
        if any(task.status is TaskStatus.LEASED for task in here.tasks.values()):
            assert errors == [Rule.LEASED_TASK_PRESENT]
        elif holds_an_outcome_back(here):
            assert errors == [Rule.OUTCOME_NOT_IN_HISTORY]
        else:
            assert done.status is ImportStatus.IMPORTED, errors
            there = await target.state(run.id)
            assert comparable(there) == comparable(here)


def holds_an_outcome_back(state: RunState) -> bool:
    """And somebody could still miss it: nothing goes on after the end of a run."""
    if state.run.status.is_terminal:
        return False
    steps = (state.activities, state.timers, state.children)
    return any(
        step.is_held and not step.is_open
        for by_number in steps
        for step in by_number.values()
    )


def tell(template: Path, *, stories: int, steps: int, is_new: bool) -> None:
    """``is_new``: other stories at each run."""

    class Story(MovingStory):
        pass

    make_database: MakeDatabase = lambda: sqlite_database(template)  # noqa: E731
    Story.make_database = staticmethod(make_database)
    Story.template = template
    run_state_machine_as_test(
        Story,
        settings=settings(
            max_examples=stories,
            stateful_step_count=steps,
            deadline=None,
            derandomize=not is_new,
            suppress_health_check=list(HealthCheck),
        ),
    )


def test_runs_of_any_story_can_move(sqlite_file: Path) -> None:
    tell(sqlite_file, stories=8, steps=30, is_new=False)


@pytest.mark.full
@pytest.mark.timeout(1800)
def test_runs_of_long_stories_can_move(sqlite_file: Path) -> None:
    tell(sqlite_file, stories=150, steps=60, is_new=True)

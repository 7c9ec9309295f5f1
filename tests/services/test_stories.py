"""Random stories on a whole node and a real store.

After every step the runs that the node keeps in memory are what the database would
load, and at the end the database stands by itself: gapless histories, one outcome for
each step, at most one open workflow task (``spec/engine.md §17``), and an export of
every run that verifies.
"""

from __future__ import annotations

import asyncio
import shutil
import tempfile
from collections.abc import Callable, Coroutine, Iterator, Sequence
from contextlib import (
    AbstractContextManager,
    AsyncExitStack,
    ExitStack,
    contextmanager,
)
from functools import partial
from pathlib import Path
from typing import Any, TypeAlias, TypeVar

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    invariant,
    rule,
    run_state_machine_as_test,
)

from dwserver.engine.commands.activities import ScheduleActivity
from dwserver.engine.commands.children import StartChildWorkflow
from dwserver.engine.commands.kinds import WorkflowCommand
from dwserver.engine.commands.markers import RecordSideEffect
from dwserver.engine.commands.terminal import (
    CompleteWorkflow,
    ContinueAsNew,
    FailWorkflow,
)
from dwserver.engine.commands.timers import StartTimer
from dwserver.engine.commands.updates import CompleteUpdate
from dwserver.engine.commands.waits import OpenConditionWait
from dwserver.engine.lifecycle.activity_outcome import AttemptFailure
from dwserver.engine.model import RetryPolicy
from dwserver.engine.words import CommandType, ParentClosePolicy, TaskKind
from dwserver.matching.pollers import Delivery
from dwserver.services.command_targets import Target
from dwserver.store.opening import open_store
from tests.durability.checker import check_standing
from tests.services.operator_room import a_close, a_message
from tests.support.databases import ENGINES, sqlite_url_of
from tests.support.postgres_databases import PostgresDatabases
from tests.support.run_bundles import doubts
from tests.support.small_server import (
    ACTIVITY,
    NAMESPACE,
    WORKFLOW,
    SmallServer,
    a_poll,
    attempt_of,
    ref_of,
    small_server,
)
from tests.support.stored_state import read_state

Result = TypeVar("Result")
# Makes a bootstrapped database that is gone afterwards; gives its URL.
MakeDatabase: TypeAlias = Callable[[], AbstractContextManager[str]]

WORKFLOW_IDS = ["a", "b", "c"]
# One rule with weights: of many rules hypothesis leaves most out of a story.
MOVES = st.sampled_from(
    [
        *["poll_workflow_task"] * 6,
        *["poll_activity_task"] * 4,
        *["answer"] * 10,
        *["start"] * 2,
        *["signal", "update"] * 2,
        *["pass_time"] * 3,
        "close",
    ]
)
RARELY = st.integers(0, 5).map(lambda number: number == 5)
RETRIED = RetryPolicy(max_attempts=2, start_to_close_timeout=5)
BLOCKING = st.one_of(
    st.builds(
        ScheduleActivity,
        activity_type=st.just(ACTIVITY),
        retry_policy=st.sampled_from([None, RETRIED]),
    ),
    st.builds(StartTimer, delay_seconds=st.sampled_from([0, 1, 30])),
    st.builds(
        StartChildWorkflow,
        workflow_type=st.just(WORKFLOW),
        parent_close_policy=st.sampled_from(list(ParentClosePolicy)),
    ),
    st.builds(
        OpenConditionWait,
        condition_key=st.just("ready"),
        timeout_seconds=st.sampled_from([None, 1]),
    ),
)
ENDS: st.SearchStrategy[WorkflowCommand] = st.sampled_from(
    [CompleteWorkflow(), FailWorkflow(message="broken"), ContinueAsNew()]
)
STEPS = st.lists(BLOCKING, min_size=1, max_size=3)


class NodeStory(RuleBasedStateMachine):
    """``held``: deliveries that a worker has not answered for good; some are stale."""

    make_database: MakeDatabase

    def __init__(self) -> None:
        super().__init__()
        self.runner = asyncio.Runner()
        self.exits = AsyncExitStack()
        self.database = ExitStack()
        self.url = self.database.enter_context(self.make_database())
        self.held: list[Delivery] = []
        self.server = self.run(self._open())

    def run(self, work: Coroutine[Any, Any, Result]) -> Result:
        return self.runner.run(work)

    async def _open(self) -> SmallServer:
        store = open_store(self.url)
        await store.open()
        self.exits.push_async_callback(store.close)
        server = await self.exits.enter_async_context(small_server(store))
        await server.register()
        return server

    @rule(move=MOVES, data=st.data())
    def something_happens(self, move: str, data: st.DataObject) -> None:
        self.draw = data.draw
        self.run(getattr(self, move)())

    # workers --------------------------------------------------------------------
    async def poll_workflow_task(self) -> None:
        await self._poll(TaskKind.WORKFLOW)

    async def poll_activity_task(self) -> None:
        await self._poll(TaskKind.ACTIVITY)

    async def _poll(self, kind: TaskKind) -> None:
        delivery = await self.server.poll(a_poll(kind))
        if delivery is not None:
            self.held.append(delivery)

    async def answer(self) -> None:
        """Perhaps with a lease that is gone, perhaps for the second time."""
        if not self.held:
            return
        at = self.draw(st.integers(0, len(self.held) - 1))
        delivery = self.held[at] if self.draw(RARELY) else self.held.pop(at)
        if delivery.leased.task.kind is TaskKind.WORKFLOW:
            await self._answer_workflow_task(delivery)
        else:
            await self._answer_activity_task(delivery)

    async def _answer_workflow_task(self, delivery: Delivery) -> None:
        services = self.server.services.workflow_tasks
        ref = ref_of(delivery)
        if self.draw(RARELY):
            await services.fail(ref, message="no", is_waiting=self.draw(st.booleans()))
            return
        commands: Sequence[WorkflowCommand]
        update_id = delivery.leased.task.resume.get("workflow_update_id")
        if update_id is not None:
            commands = [CompleteUpdate(update_id=str(update_id))]
        elif self.draw(RARELY):
            commands = [self.draw(ENDS)]
        else:
            commands = [RecordSideEffect(), *self.draw(STEPS)]
        await services.complete(ref, commands)

    async def _answer_activity_task(self, delivery: Delivery) -> None:
        services = self.server.services.activity_tasks
        ref = attempt_of(delivery)
        match self.draw(st.integers(0, 4)):
            case 0:
                await services.heartbeat(ref, {"message": "half"})
            case 1 | 2:
                await services.fail(ref, AttemptFailure(message="boom"))
            case _:
                await services.complete(ref, None)

    # operators ------------------------------------------------------------------
    async def start(self) -> None:
        await self.server.start(self.draw(st.sampled_from(WORKFLOW_IDS)))

    async def signal(self) -> None:
        if target := await self._target():
            await self.server.services.commands.signal(target, a_message())

    async def update(self) -> None:
        if target := await self._target():
            await self.server.services.commands.update(target, a_message("change"))

    async def close(self) -> None:
        verb = self.draw(st.sampled_from([CommandType.CANCEL, CommandType.TERMINATE]))
        if target := await self._target():
            await self.server.services.commands.close(target, a_close(verb))

    async def _target(self) -> Target | None:
        """A workflow id that was started, or a child's."""
        ids = [*WORKFLOW_IDS, *self.children]
        find = self.server.services.commands.find_target
        found = await find(NAMESPACE, self.draw(st.sampled_from(ids)), None)
        return found if isinstance(found, Target) else None

    @property
    def children(self) -> list[str]:
        workflow_ids = {held.leased.run.workflow_id for held in self.held}
        return sorted(workflow_ids - {*WORKFLOW_IDS})

    # time -----------------------------------------------------------------------
    async def pass_time(self) -> None:
        seconds = self.draw(st.sampled_from([0.5, 0.5, 2, 2, 61, 301]))
        self.server.clock.advance(seconds=seconds)
        await self._do_what_is_due()

    async def _do_what_is_due(self) -> None:
        core = self.server.core
        await core.leases.requeue_expired()
        await core.deadlines.enforce()
        await core.timers.fire_due()
        await core.close_policies.deliver_due()

    # what must hold -------------------------------------------------------------
    @invariant()
    def memory_agrees_with_the_database(self) -> None:
        self.run(self._compare())

    async def _compare(self) -> None:
        hot = self.server.core.runs.hot
        for run_id in list(hot._runs):
            stored = await self.server.faults.real.load_run(run_id)
            known = hot.get(run_id)
            # Close policies may be at work meanwhile. Renewals move leases without a
            # version; whoever needs them looks again.
            if stored and known and stored.run.version == known.state.run.version:
                assert known.state.run == stored.run
                assert known.state.timers == stored.timers
                assert known.state.children == stored.children
                assert known.state.waits == stored.waits
                assert known.state.signals == stored.signals
                assert known.state.updates == stored.updates
                assert known.state.tasks.keys() == stored.tasks.keys()

    def teardown(self) -> None:
        try:
            self.run(self._do_what_is_due())
            assert check_standing(read_state(self.url)) == []
            exports = self.server.services.history_exports
            assert self.run(doubts(exports, self.url)) == []
        finally:
            self.run(self.exits.aclose())
            self.runner.close()
            self.database.close()


@contextmanager
def sqlite_database(template: Path) -> Iterator[str]:
    with tempfile.TemporaryDirectory(prefix="dwserver-story-") as folder:
        yield sqlite_url_of(Path(shutil.copy(template, folder)))


@contextmanager
def postgres_database(databases: PostgresDatabases, template: str) -> Iterator[str]:
    url = databases.create(template=template)
    try:
        yield url
    finally:
        databases.drop(url)


@pytest.fixture(params=ENGINES)
def make_database(request: pytest.FixtureRequest) -> MakeDatabase:
    """Of one engine after the other."""
    value = request.getfixturevalue
    if request.param == "sqlite":
        return partial(sqlite_database, value("sqlite_file"))
    return partial(
        postgres_database, value("postgres_databases"), value("postgres_template")
    )


def tell(make_database: MakeDatabase, *, stories: int, steps: int) -> None:
    class Story(NodeStory):
        pass

    # On the class it would be taken for a method.
    Story.make_database = staticmethod(make_database)
    run_state_machine_as_test(
        Story,
        settings=settings(
            max_examples=stories,
            stateful_step_count=steps,
            deadline=None,
            suppress_health_check=list(HealthCheck),
        ),
    )


def test_any_story_leaves_a_sound_database(make_database: MakeDatabase) -> None:
    tell(make_database, stories=8, steps=40)


@pytest.mark.full
@pytest.mark.timeout(1800)
def test_long_stories_leave_a_sound_database(make_database: MakeDatabase) -> None:
    tell(make_database, stories=150, steps=80)

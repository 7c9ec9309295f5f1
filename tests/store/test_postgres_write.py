"""The commit statement of PostgreSQL: what the shapes of a batch decide and write."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace

import asyncpg
import pytest

from dwserver.engine.model import RunInput, RunState
from dwserver.engine.transition import (
    LeaseGuard,
    ReleasedEvent,
    RunChange,
    Transition,
    apply,
)
from dwserver.engine.words import RunStatus, TaskKind
from dwserver.store.api import StoreError
from dwserver.store.postgres import PostgresStore, bootstrap
from dwserver.store.postgres.connections import ConnectionOptions, Writers
from dwserver.store.postgres.rows import PARTS
from dwserver.store.postgres.servers import Servers
from dwserver.store.postgres.write import StatementShapes, TransitionWriter
from tests.store.one_activity_run import LEASE, NOW, OneActivityRun, leased_task


@pytest.fixture
async def dsn(empty_postgres_url: str) -> str:
    await bootstrap(empty_postgres_url)
    return empty_postgres_url


@pytest.fixture
async def store(dsn: str) -> AsyncIterator[PostgresStore]:
    store = PostgresStore(
        dsn,
        pool_size=4,
        writers=2,
        statement_cache_size=100,
        command_timeout_seconds=10.0,
    )
    await store.open()
    yield store
    await store.close()


@pytest.fixture
async def writer(dsn: str) -> AsyncIterator[TransitionWriter]:
    writers = Writers(ConnectionOptions(Servers(dsn), 100, 10.0), size=2)
    yield TransitionWriter(writers, max_shapes=100)
    await writers.close()


async def test_a_run_is_read_back_as_apply_says(store: PostgresStore) -> None:
    state: RunState | None = None
    for transition in OneActivityRun("a").transitions():
        assert await store.commit(transition)
        state = apply(state, transition.changes[0])
        loaded = await store.load_run("run-a")
        assert loaded == state
        assert loaded is not None
        assert list(loaded.activities) == sorted(loaded.activities)


async def test_a_conflict_in_a_batch_disturbs_nobody(
    store: PostgresStore, writer: TransitionWriter
) -> None:
    runs = [OneActivityRun(name) for name in "abc"]
    assert await writer.write([run.start() for run in runs]) == [True] * 3
    stale = Transition(
        changes=(replace(runs[1].schedule().changes[0], base_version=7),)
    )
    mixed = [
        runs[0].schedule(),
        stale,
        OneActivityRun("d").start(),
        runs[2].schedule(),
        # Reserves a workflow id that is taken: its run must not appear.
        replace(
            OneActivityRun("e").start(),
            new_instances=(replace(runs[0].instance, current_run_id="run-e"),),
        ),
    ]
    assert await writer.write(mixed) == [True, False, True, True, False]
    assert await store.load_run("run-e") is None
    assert await store.history("run-e", after=0, upto=None, limit=9) == []
    unchanged = await store.load_run("run-b")
    assert unchanged is not None
    assert unchanged.run == runs[1].run
    changed = await store.load_run("run-c")
    assert changed is not None
    assert changed.run.version == 2


async def test_changes_of_several_runs_are_all_or_nothing(
    store: PostgresStore, writer: TransitionWriter
) -> None:
    parent, child, other = (OneActivityRun(name) for name in ("p", "c", "o"))
    await writer.write([run.start() for run in (parent, child, other)])
    both = Transition(
        changes=(child.schedule().changes[0], parent.schedule().changes[0])
    )
    half = replace(
        both,
        changes=(both.changes[0], replace(both.changes[1], base_version=9)),
    )
    assert await writer.write([half, other.schedule()]) == [False, True]
    untouched = await store.load_run(child.run.id)
    assert untouched is not None
    assert untouched.run == child.run
    assert await writer.write([both]) == [True]
    for run in (parent, child):
        loaded = await store.load_run(run.run.id)
        assert loaded is not None
        assert loaded.run == run.waiting


async def test_a_child_whose_id_is_taken_stops_its_parent(
    store: PostgresStore, writer: TransitionWriter
) -> None:
    parent, child = OneActivityRun("p"), OneActivityRun("c")
    first = OneActivityRun("free")
    await writer.write([parent.start(), child.start()])
    second = replace(child.start().changes[0], run=replace(child.run, id="run-c2"))
    start_children = Transition(
        changes=(
            parent.schedule().changes[0],
            first.start().changes[0],
            replace(second, events=(), new_tasks=(), commands=()),
        ),
        new_instances=(first.instance, replace(child.instance, current_run_id="c2")),
    )
    assert await writer.write([start_children]) == [False]
    assert await store.find_instance("default", first.run.workflow_id) is None
    loaded = await store.load_run(parent.run.id)
    assert loaded is not None
    assert loaded.run == parent.run


async def test_a_workflow_id_reserved_meanwhile_is_a_conflict(
    dsn: str, writer: TransitionWriter
) -> None:
    """The statement waits for the other transaction, fails, and sees it then."""
    parent, child = OneActivityRun("p"), OneActivityRun("c")
    await writer.write([parent.start()])
    start_child = Transition(
        changes=(parent.schedule().changes[0], child.start().changes[0]),
        new_instances=(child.instance,),
    )
    other = await asyncpg.connect(dsn)
    transaction = other.transaction()
    await transaction.start()
    await other.execute(
        "insert into instances values ('default', $1, 'x', 'y', 'y', 1, 0)",
        child.run.workflow_id,
    )
    write = asyncio.create_task(writer.write([start_child]))
    await wait_for_lock(dsn)
    await transaction.commit()
    await other.close()
    assert await write == [False]


@pytest.mark.parametrize("is_joined", [False, True])
async def test_a_version_that_moves_while_the_guard_waits_is_a_conflict(
    dsn: str, writer: TransitionWriter, *, is_joined: bool
) -> None:
    runs = [OneActivityRun("a"), OneActivityRun("b")]
    await writer.write([run.start() for run in runs])
    batch = [run.schedule() for run in runs]
    if is_joined:
        changes = (batch[0].changes[0], batch[1].changes[0])
        batch = [Transition(changes=changes)]
    other = await asyncpg.connect(dsn)
    transaction = other.transaction()
    await transaction.start()
    await other.execute("update runs set version = 10 where id = $1", runs[0].run.id)
    write = asyncio.create_task(writer.write(batch))
    await wait_for_lock(dsn)
    await transaction.commit()
    await other.close()
    assert await write == ([False] if is_joined else [False, True])


async def wait_for_lock(dsn: str) -> None:
    """Until some session waits for another one's lock."""
    connection = await asyncpg.connect(dsn)
    try:
        async with asyncio.timeout(20):
            while not await connection.fetchval(
                "select exists (select from pg_locks where not granted)"
            ):
                continue
    finally:
        await connection.close()


async def test_a_renewed_lease_can_not_be_taken_away(
    store: PostgresStore, writer: TransitionWriter
) -> None:
    run = OneActivityRun("a")
    await writer.write([run.start()])
    takeover = replace(
        run.schedule().changes[0],
        lease_guards=(LeaseGuard(run.first_task.id, NOW + LEASE + 1),),
    )
    assert await writer.write([Transition(changes=(takeover,))]) == [False]
    held = replace(takeover, lease_guards=(LeaseGuard(run.first_task.id, NOW + LEASE),))
    others = [OneActivityRun("b").start()]
    assert await writer.write([Transition(changes=(held,)), *others]) == [True, True]
    task = await store.find_task("default", run.first_task.id)
    assert task is not None
    assert not task.status.is_open


async def test_held_events_appear_with_their_final_sequence(
    store: PostgresStore,
) -> None:
    run = OneActivityRun("a")
    for transition in run.transitions()[:2]:
        assert await store.commit(transition)
    change = RunChange(
        base_version=2,
        run=replace(run.waiting, version=3, last_sequence=5),
        released=(ReleasedEvent(-2, 5, NOW + 77),),
    )
    before = await store.history("run-a", after=-9, upto=None, limit=10)
    assert [event.sequence for event in before] == [1, 2, 3, 4]
    assert await store.commit(Transition(changes=(change,)))
    after = await store.history("run-a", after=4, upto=None, limit=10)
    assert [(event.sequence, event.recorded_at) for event in after] == [(5, NOW + 77)]
    assert after[0].event_type == "TimerFired"


async def test_a_sequence_that_exists_is_an_error_and_writes_nothing(
    store: PostgresStore, writer: TransitionWriter
) -> None:
    run = OneActivityRun("a")
    await writer.write([run.start()])
    change = replace(
        run.schedule().changes[0], events=run.start().changes[0].events[:1]
    )
    with pytest.raises(StoreError) as caught:
        await writer.write([Transition(changes=(change,))])
    assert not caught.value.is_applied_unknown
    loaded = await store.load_run("run-a")
    assert loaded is not None
    assert loaded.run == run.run


async def test_a_value_that_can_not_be_encoded_fails_alone(
    store: PostgresStore,
) -> None:
    good, bad, nul = OneActivityRun("good"), OneActivityRun("bad"), OneActivityRun("n")
    unserialisable = replace(
        bad.start().changes[0], input=RunInput(arguments=None, memo={"x": object()})
    )
    with_nul = replace(nul.start().changes[0], run=replace(nul.run, task_queue="\0"))
    results = await asyncio.gather(
        store.commit(good.start()),
        store.commit(replace(bad.start(), changes=(unserialisable,))),
        store.commit(replace(nul.start(), changes=(with_nul,))),
        return_exceptions=True,
    )
    assert results[0] is True
    assert isinstance(results[1], StoreError)
    assert isinstance(results[2], StoreError)


async def test_a_given_input_replaces_the_stored_one(store: PostgresStore) -> None:
    run = OneActivityRun("a")
    await store.commit(run.start())
    given = RunInput(arguments=None, memo={"note": "second"})
    change = replace(run.schedule().changes[0], input=given)
    assert await store.commit(Transition(changes=(change,)))
    assert await store.run_input("run-a") == given
    later = run.complete_activity()
    assert await store.commit(later)
    assert await store.run_input("run-a") == given


async def test_a_continued_run_is_a_sibling_and_becomes_current(
    store: PostgresStore,
) -> None:
    first = OneActivityRun("a")
    await store.commit(first.start())
    second = replace(
        first.run, id="run-a2", run_number=2, continued_from_run_id=first.run.id
    )
    instance = replace(first.instance, current_run_id=second.id, run_count=2)
    closing = replace(
        first.run, version=2, status=RunStatus.COMPLETED, closed_at=NOW + 3
    )
    continued = Transition(
        changes=(
            RunChange(base_version=1, run=closing),
            RunChange(
                base_version=None,
                run=second,
                new_tasks=(leased_task(second, 1, TaskKind.WORKFLOW),),
            ),
        ),
        instances=(instance,),
    )
    assert await store.commit(continued)
    assert await store.find_instance("default", first.run.workflow_id) == instance
    views = await store.runs_of_instance("default", first.run.workflow_id)
    assert [(view.run.id, view.run_count) for view in views] == [
        ("run-a", 2),
        ("run-a2", 2),
    ]
    assert views[1].run == second


def test_shapes_are_bounded_and_fall_back_to_wider_ones() -> None:
    shapes = StatementShapes(2)
    narrow, wide = frozenset(PARTS[:2]), frozenset(PARTS[:4])
    assert shapes.choose(narrow) == narrow
    assert shapes.choose(wide) == wide
    assert shapes.choose(frozenset(PARTS[:3])) == wide
    assert shapes.choose(frozenset(PARTS[-2:])) == frozenset(PARTS)


async def test_a_wider_shape_writes_the_same(dsn: str, store: PostgresStore) -> None:
    writers = Writers(ConnectionOptions(Servers(dsn), 100, 10.0), size=1)
    writer = TransitionWriter(writers, max_shapes=0)
    state: RunState | None = None
    for transition in OneActivityRun("a").transitions():
        assert await writer.write([transition]) == [True]
        state = apply(state, transition.changes[0])
    assert await store.load_run("run-a") == state
    await writers.close()

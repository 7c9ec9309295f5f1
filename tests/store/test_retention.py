"""Retention: which runs it may prune, and what pruning leaves of them."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import Any

import pytest

from dwserver.engine.model import Payload, Run, RunInput
from dwserver.engine.transition import NewActivity, Transition
from dwserver.store.api import Store
from dwserver.store.retention import BEFORE_ALL, ClosedRun, RunPart
from tests.store.raw_sql import execute
from tests.support.builders import (
    NOON,
    SECOND,
    a_child,
    a_closed_attempt,
    a_command,
    a_completion,
    a_failure,
    a_run,
    a_signal,
    a_start_transition,
    a_task,
    a_timer,
    a_transition,
    a_wait,
    an_activity,
    an_activity_task,
    an_event,
    an_update,
    closed,
)

FAR = NOON + 10**9 * SECOND


async def with_run(store: Store, **fields: Any) -> Run:
    run = a_run(**fields)
    assert await store.commit(a_start_transition(run, new_tasks=()))
    return run


async def closed_run(store: Store, *, at: int = NOON, **fields: Any) -> Run:
    run = await with_run(store, **fields)
    change = a_completion(run)
    ended = replace(change.run, closed_at=at)
    assert await store.commit(Transition(changes=(replace(change, run=ended),)))
    return ended


async def full_run(store: Store) -> Run:
    """A closed run with a row of every kind."""
    run = a_run()
    activity = an_activity(run, step=1)
    task = closed(an_activity_task(activity, run))
    started = a_start_transition(
        run,
        input=RunInput(
            arguments=Payload("avro", "AAAA"),
            memo={"m": 1},
            search_attributes={"Region": "eu"},
        ),
        new_tasks=(closed(a_task(run)), task),
        new_activities=(NewActivity(activity, Payload("avro", "AAAA")),),
        attempts=(a_closed_attempt(task),),
        new_timers=(a_timer(run, step=2),),
        new_children=(a_child(run, step=3),),
        new_waits=(a_wait(run, step=4),),
        new_signals=(a_signal(run, sequence=2),),
        new_updates=(an_update(run, sequence=3),),
        commands=tuple(a_command(run, sequence=number) for number in (1, 2, 3)),
        failures=(a_failure(run),),
    )
    assert await store.commit(started)
    change = a_completion(run, Payload("avro", "BBBB"))
    assert await store.commit(Transition(changes=(change,)))
    return change.run


async def rows_of(url: str, run_id: str) -> dict[str, int]:
    """Rows by table, of every table that names the run."""
    if url.startswith("sqlite"):
        named = "select name, sql from sqlite_master where type = 'table'"
        tables = [
            str(name)
            for name, sql in await execute(url, named)
            if re.search(r"^\s*run_id ", str(sql), re.MULTILINE)
        ]
    else:
        named = (
            "select table_name from information_schema.columns "
            "where column_name = 'run_id' and table_schema = 'public'"
        )
        tables = [str(row[0]) for row in await execute(url, named)]
    counts = {}
    for table in tables:
        text = f"select count(*) from {table} where run_id = '{run_id}'"  # noqa: S608
        counts[table] = int(str((await execute(url, text))[0][0]))
    return counts


async def test_a_pruned_run_leaves_nothing_but_its_row(
    store: Store, store_url: str
) -> None:
    run, other = await full_run(store), await full_run(store)
    before = await rows_of(store_url, run.id)
    expected = {table: count for table, count in before.items() if count}
    # The outbox is emptied by its own deliveries.
    assert len(expected) == len(RunPart)
    found = await store.prune_runs(run.namespace, [run.id], at=NOON + SECOND)
    assert set(found) == {run.id}
    deleted = found[run.id]
    assert set(deleted) == set(RunPart)
    assert sorted(deleted.values()) == sorted(expected.values())
    assert not any((await rows_of(store_url, run.id)).values())
    assert await rows_of(store_url, other.id) == before
    view = await store.find_run_view(run.namespace, run.id)
    assert view is not None
    assert view.pruned_at == NOON + SECOND
    assert view.run == replace(run, version=run.version + 1)
    assert (view.input.arguments, view.output) == (None, None)
    assert (view.input.memo, view.input.search_attributes) == ({}, {})
    assert await store.find_instance(run.namespace, run.workflow_id) is not None


async def test_a_run_is_pruned_once(store: Store) -> None:
    run = await closed_run(store)
    assert await store.prune_runs("elsewhere", [run.id], at=NOON) == {}
    assert await store.prune_runs(run.namespace, ["nope"], at=NOON) == {}
    assert set(await store.prune_runs(run.namespace, [run.id], at=NOON)) == {run.id}
    assert await store.prune_runs(run.namespace, [run.id], at=NOON) == {}
    assert await store.prune_runs(run.namespace, [], at=NOON) == {}


async def test_runs_are_pruned_together_and_counted_apart(
    store: Store, store_url: str
) -> None:
    full, bare = await full_run(store), await closed_run(store)
    rows = {run.id: await rows_of(store_url, run.id) for run in (full, bare)}
    running = await with_run(store)
    asked = [bare.id, running.id, "nope", full.id]
    deleted = await store.prune_runs("default", asked, at=NOON)
    assert set(deleted) == {full.id, bare.id}
    for run_id, parts in deleted.items():
        assert set(parts) == set(RunPart)
        assert sum(parts.values()) == sum(rows[run_id].values())
    assert any((await rows_of(store_url, running.id)).values())


async def test_open_and_archived_runs_are_not_pruned(store: Store) -> None:
    running = await with_run(store)
    archived = await closed_run(store, archived_at=NOON)
    named = [running.id, archived.id]
    assert await store.prune_runs("default", named, at=NOON) == {}
    found = await store.expired_runs("default", closed_before=FAR, limit=10)
    assert found == []


async def test_a_decision_about_a_run_that_is_pruned_meanwhile_is_refused(
    store: Store,
) -> None:
    run = await closed_run(store)
    await store.prune_runs(run.namespace, [run.id], at=NOON)
    late = a_transition(run, events=(an_event(run.last_sequence + 1),))
    assert not await store.commit(late)


async def test_expired_runs_come_oldest_first_in_pages(store: Store) -> None:
    ends = (NOON + 2, NOON, NOON + 1, NOON + 1, NOON + 3)
    runs = [await closed_run(store, at=at) for at in ends]
    await closed_run(store, at=NOON, namespace="other")
    expected = sorted(
        (ClosedRun(run.id, at) for run, at in zip(runs, ends, strict=True)),
        key=lambda each: (each.closed_at, each.run_id),
    )[:4]

    async def page(after: ClosedRun, limit: int) -> list[ClosedRun]:
        return await store.expired_runs(
            "default", closed_before=NOON + 3, after=after, limit=limit
        )

    assert await page(BEFORE_ALL, 10) == expected
    lengths = {run.id: run.last_sequence for run in runs}
    assert all(
        each.events == lengths[each.run_id] for each in await page(BEFORE_ALL, 10)
    )
    assert await page(BEFORE_ALL, 3) == expected[:3]
    assert await page(expected[2], 3) == expected[3:]
    await store.prune_runs("default", [expected[0].run_id], at=FAR)
    assert await page(BEFORE_ALL, 10) == expected[1:]


@pytest.mark.parametrize("is_open", [True, False])
async def test_runs_under_open_ones_at_any_depth(store: Store, is_open: bool) -> None:
    top = await (with_run(store) if is_open else closed_run(store))
    middle = await closed_run(store, parent_run_id=top.id, parent_step=1)
    leaf = await closed_run(store, parent_run_id=middle.id, parent_step=1)
    alone = await closed_run(store)
    orphan = await closed_run(store, parent_run_id="gone", parent_step=1)
    asked = [run.id for run in (top, middle, leaf, alone, orphan)]
    expected = {middle.id, leaf.id} if is_open else set()
    assert await store.runs_under_open_ones(asked) == expected

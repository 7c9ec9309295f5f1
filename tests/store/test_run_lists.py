"""Run lists: newest first, pages without gaps or repeats, filters."""

from __future__ import annotations

from dataclasses import replace
from random import Random

import pytest

from dwserver.engine.model import Payload, Run, RunInput
from dwserver.engine.transition import Transition
from dwserver.engine.words import RunStatus, StatusBucket
from dwserver.store.api import RunCursor, RunFilter, Store
from tests.support.builders import (
    NOON,
    a_completion,
    a_run,
    a_start,
    a_start_transition,
    a_transition,
    an_id,
    an_instance,
)

ALL = RunFilter("default")


async def ids(
    store: Store,
    run_filter: RunFilter,
    *,
    after: RunCursor | None = None,
    limit: int = 1000,
) -> list[str]:
    views = await store.list_runs(run_filter, after=after, limit=limit)
    return [view.run.id for view in views]


async def pages(store: Store, run_filter: RunFilter, *, limit: int) -> list[list[str]]:
    """All pages, each asked for behind the last row of the one before."""
    found = []
    after = None
    while views := await store.list_runs(run_filter, after=after, limit=limit):
        found.append([view.run.id for view in views])
        last = views[-1].run
        after = RunCursor(last.started_at, last.id)
    return found


def newest_first(runs: list[Run]) -> list[str]:
    ordered = sorted(runs, key=lambda run: (run.started_at, run.id), reverse=True)
    return [run.id for run in ordered]


async def with_runs(store: Store, *runs: Run) -> list[Run]:
    for run in runs:
        assert await store.commit(a_start_transition(run))
    return list(runs)


async def test_list_shows_the_whole_view(store: Store) -> None:
    run = a_run()
    given = RunInput(arguments=Payload("avro", "AA=="), memo={"a": 1})
    await store.commit(a_start_transition(run, input=given))
    completion = a_completion(run, Payload("json", "7"))
    await store.commit(Transition(changes=(completion,)))
    [view] = await store.list_runs(ALL, after=None, limit=10)
    assert view == await store.find_run_view("default", run.id)
    assert (view.run, view.input) == (completion.run, given)
    assert view.output == Payload("json", "7")


@pytest.mark.parametrize("limit", [1, 3, 7, 50])
async def test_pages_cover_the_list_under_equal_instants(
    store: Store, limit: int
) -> None:
    random = Random(limit)
    statuses = list(RunStatus)
    runs = await with_runs(
        store,
        *(
            a_run(started_at=NOON + random.randrange(3), status=random.choice(statuses))
            for _ in range(20)
        ),
    )
    found = await pages(store, ALL, limit=limit)
    assert [id_ for page in found for id_ in page] == newest_first(runs)
    assert all(len(page) == limit for page in found[:-1])


async def test_pages_cover_every_filter(store: Store) -> None:
    random = Random(1)
    types = ("orders.Ship", "orders.Bill")
    runs = await with_runs(
        store,
        *(
            a_run(
                started_at=NOON + random.randrange(2),
                status=random.choice(list(RunStatus)),
                workflow_type=random.choice(types),
            )
            for _ in range(40)
        ),
    )
    for workflow_type in (None, *types, "orders.None"):
        for bucket in (None, *StatusBucket):
            expected = [
                run
                for run in runs
                if workflow_type in (None, run.workflow_type)
                and bucket in (None, run.status.bucket)
            ]
            run_filter = RunFilter("default", workflow_type, bucket)
            found = await pages(store, run_filter, limit=6)
            assert [id_ for page in found for id_ in page] == newest_first(expected)


async def test_run_moves_to_another_bucket_when_it_closes(store: Store) -> None:
    run = a_run()
    await with_runs(store, run)
    running = RunFilter("default", bucket=StatusBucket.RUNNING)
    completed = RunFilter("default", bucket=StatusBucket.COMPLETED)
    assert await ids(store, running) == [run.id]
    await store.commit(a_transition(run, run_fields={"status": RunStatus.WAITING}))
    assert await ids(store, running) == [run.id]
    waiting = replace(run, version=2)
    await store.commit(Transition(changes=(a_completion(waiting),)))
    assert await ids(store, running) == []
    assert await ids(store, completed) == [run.id]
    assert await ids(store, ALL) == [run.id]


@pytest.mark.parametrize("bucket", [None, StatusBucket.RUNNING])
@pytest.mark.parametrize("workflow_type", [None, "orders.Ship"])
async def test_text_is_a_substring_of_workflow_id_or_business_key(
    store: Store, bucket: StatusBucket | None, workflow_type: str | None
) -> None:
    first = a_run(workflow_id="customer-42/ship", started_at=NOON + 2)
    second = a_run(workflow_id="other", started_at=NOON + 1)
    third = a_run(workflow_id="100%_done", started_at=NOON)
    for run, key in ((first, None), (second, "customer-42"), (third, "naïve Ω")):
        given = RunInput(arguments=None, business_key=key)
        await store.commit(a_start_transition(run, input=given))

    async def matching(text: str) -> list[str]:
        return await ids(store, RunFilter("default", workflow_type, bucket, text))

    assert await matching("mer-4") == [first.id, second.id]
    assert await matching("/ship") == [first.id]
    assert await matching("ve Ω") == [third.id]
    # Characters that pattern matching would take for wildcards.
    assert await matching("%_") == [third.id]
    assert await matching("cust_mer") == []
    assert await matching("a%c") == []
    assert await matching("nothing") == []


async def test_text_pages_skip_what_does_not_match(store: Store) -> None:
    runs = await with_runs(
        store,
        *(
            a_run(workflow_id=f"{'hit' if n % 3 == 0 else 'miss'}-{n}")
            for n in range(30)
        ),
    )
    hits = [run for run in runs if run.workflow_id.startswith("hit")]
    found = await pages(store, RunFilter("default", text="hit"), limit=4)
    assert [id_ for page in found for id_ in page] == newest_first(hits)
    assert [len(page) for page in found] == [4, 4, 2]


async def test_lists_show_only_their_namespace(store: Store) -> None:
    here, there = await with_runs(store, a_run(), a_run(namespace="billing"))
    assert await ids(store, ALL) == [here.id]
    assert await ids(store, RunFilter("billing")) == [there.id]
    assert await ids(store, RunFilter("nobody")) == []
    assert await store.find_run_view("billing", here.id) is None
    assert await store.runs_of_instance("billing", here.workflow_id) == []


async def test_runs_of_an_instance_come_by_number(store: Store) -> None:
    runs = [a_run(workflow_id="order-1", started_at=NOON + 50)]
    await store.commit(a_start_transition(runs[0]))
    for number in range(2, 13):
        previous = runs[-1]
        run = replace(
            previous,
            id=an_id("run"),
            run_number=number,
            # Not in the order of their numbers.
            started_at=NOON + 50 - number,
        )
        instance = replace(an_instance(run), current_run_id=run.id, run_count=number)
        continued = Transition(
            changes=(a_completion(previous), a_start(run)), instances=(instance,)
        )
        assert await store.commit(continued)
        runs.append(run)
    other = a_run(workflow_id="order-2")
    await store.commit(a_start_transition(other))
    views = await store.runs_of_instance("default", "order-1")
    assert [view.run.id for view in views] == [run.id for run in runs]
    assert {view.run_count for view in views} == {12}
    assert await ids(store, RunFilter("default", text="order-1")) == newest_first(runs)

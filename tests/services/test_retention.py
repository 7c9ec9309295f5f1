"""Old closed runs are forgotten, younger, open, archived and needed ones are kept."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import count

import pytest

from dwserver.engine.commands.children import StartChildWorkflow
from dwserver.engine.commands.terminal import CompleteWorkflow
from dwserver.engine.lifecycle.archive import ArchiveRequest
from dwserver.engine.lifecycle.close import CloseRequest
from dwserver.engine.words import CommandType
from dwserver.services import retention
from dwserver.services.command_targets import Target
from dwserver.services.retention import (
    BATCH,
    DAY,
    MAX_EVENTS,
    MAX_RUNS,
    MICROS,
    REST,
    Pruned,
    PruneSkip,
    Retention,
    _transactions,
)
from dwserver.store.retention import ClosedRun
from tests.support.small_server import SmallServer

DAYS = 30
SECONDS = DAYS * DAY // MICROS


async def closed_run(server: SmallServer, workflow_id: str) -> str:
    started = await server.start(workflow_id)
    await server.complete(await server.leased(), [CompleteWorkflow()])
    return started.run.id


def told(pruned: list[Pruned]) -> dict[str, object]:
    return {
        each.run_id: sum(each.outcome.values())
        if isinstance(each.outcome, Mapping)
        else each.outcome
        for each in pruned
    }


async def expired(server: SmallServer, *, limit: int = 100) -> list[str]:
    found = await server.services.retention.expired("default", limit=limit)
    assert found.retention_days == DAYS
    assert found.cutoff == server.clock.now() - DAYS * DAY
    return list(found.run_ids)


async def test_a_run_expires_when_it_has_been_closed_long_enough(
    server: SmallServer,
) -> None:
    old = await closed_run(server, "old")
    server.clock.advance(seconds=1)
    older = await closed_run(server, "young")
    server.clock.advance(seconds=SECONDS - 1)
    assert await expired(server) == []
    server.clock.advance(microseconds=1)
    assert await expired(server) == [old]
    server.clock.advance(seconds=1)
    assert await expired(server) == [old, older]
    assert await expired(server, limit=1) == [old]


async def test_a_pass_prunes_each_run_once(server: SmallServer) -> None:
    run_id = await closed_run(server, "old")
    await server.start("open")
    server.clock.advance(seconds=SECONDS + 1)
    service = server.services.retention
    pruned = await service.enforce("default", limit=100)
    assert list(told(pruned)) == [run_id]
    view = await server.core.store.find_run_view("default", run_id)
    assert view is not None
    assert view.pruned_at == server.clock.now()
    assert await server.core.store.history(run_id, after=0, upto=None, limit=9) == []
    assert await service.enforce("default", limit=100) == []
    again = await service.enforce_on("default", [run_id])
    assert told(again) == {run_id: PruneSkip.NOT_FOUND}
    lines = server.metrics.exposition().decode().splitlines()
    assert "dw_runs_pruned_total 1.0" in lines


async def test_named_runs_are_pruned_whatever_their_age(server: SmallServer) -> None:
    closed = await closed_run(server, "closed")
    kept = await closed_run(server, "kept")
    instance = await server.core.store.find_instance("default", "kept")
    assert instance is not None
    await server.services.commands.archive(
        Target(instance=instance), ArchiveRequest(namespace="default")
    )
    running = (await server.start("open")).run.id
    pruned = await server.services.retention.enforce_on(
        "default", ["nope", closed, kept, running, closed]
    )
    assert [each.run_id for each in pruned] == ["nope", closed, kept, running]
    outcomes = told(pruned)
    assert outcomes.pop(closed) != 0
    assert outcomes == {
        "nope": PruneSkip.NOT_FOUND,
        kept: PruneSkip.ARCHIVED,
        running: PruneSkip.NOT_TERMINAL,
    }


async def test_a_child_is_kept_while_its_parent_is_open(server: SmallServer) -> None:
    parent = (await server.start("parent")).run.id
    command = StartChildWorkflow(workflow_type="orders.Ship")
    await server.complete(await server.leased(), [command])
    child = await server.leased()
    await server.complete(child, [CompleteWorkflow()])
    server.clock.advance(seconds=SECONDS + 1)
    assert await expired(server) == []
    child_id = child.leased.run.id
    pruned = await server.services.retention.enforce_on("default", [child_id])
    assert told(pruned) == {child_id: PruneSkip.ANCESTOR_OPEN}
    await server.complete(await server.leased(), [CompleteWorkflow()])
    assert await expired(server) == [child_id]
    server.clock.advance(seconds=SECONDS + 1)
    assert await expired(server) == [child_id, parent]


async def test_the_loop_looks_on_behind_runs_that_open_ones_need(
    server: SmallServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(retention, "WINDOW", 2)
    monkeypatch.setattr(retention, "MAX_WINDOWS", 1)
    await server.start("parent")
    commands = [StartChildWorkflow(workflow_type="orders.Ship")] * 3
    await server.complete(await server.leased(), commands)
    for _ in commands:
        child = await server.leased()
        assert child.leased.run.parent_run_id is not None
        await server.complete(child, [CompleteWorkflow()])
    # The answers of the children are the parent's task, which stays open.
    await server.leased()
    free = await closed_run(server, "free")
    server.clock.advance(seconds=SECONDS + 1)
    store, passed = server.core.store, 0
    while (await server.services.retention.pass_over_all()) is not None:
        passed += 1
    view = await store.find_run_view("default", free)
    assert view is not None
    assert (passed, view.pruned_at) == (2, server.clock.now())


async def test_passes_of_operators_look_on_behind_runs_that_open_ones_need(
    server: SmallServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(retention, "WINDOW", 2)
    monkeypatch.setattr(retention, "MAX_WINDOWS", 1)
    service, parent = server.services.retention, (await server.start("parent")).run.id
    commands = [StartChildWorkflow(workflow_type="orders.Ship")] * 3
    await server.complete(await server.leased(), commands)
    children = []
    for _ in commands:
        child = await server.leased()
        children.append(child.leased.run.id)
        await server.complete(child, [CompleteWorkflow()])
    # The answers of the children are the parent's task, which stays open.
    await server.leased()
    free = [await closed_run(server, f"free-{number}") for number in range(3)]
    server.clock.advance(seconds=SECONDS + 1)

    shown: list[tuple[list[str], bool]] = []
    pruned: list[list[str]] = []
    for _ in range(3):
        found = await service.expired("default", limit=2)
        shown.append((list(found.run_ids), found.is_partial))
        pruned.append(list(told(await service.enforce("default", limit=2))))
    assert pruned == [[], free[:1], free[1:]]
    assert shown == [([], True), (free[:1], True), (free[1:], True)]

    # What was passed over has its turn again.
    instance = await server.core.store.find_instance("default", "parent")
    assert instance is not None
    await server.services.commands.close(
        Target(instance=instance),
        CloseRequest(namespace="default", command_type=CommandType.TERMINATE),
    )
    server.clock.advance(seconds=SECONDS + 1)
    rest: list[str] = []
    for _ in range(4):
        rest += told(await service.enforce("default", limit=2))
    assert sorted(rest) == sorted([*children, parent])
    assert not (await service.expired("default", limit=2)).is_partial


async def test_the_loop_works_in_batches_and_rests_between_them(
    server: SmallServer,
) -> None:
    seconds = count()
    service = Retention(
        server.core.store,
        server.services.namespaces,
        server.core.runs.hot,
        now=server.clock.now,
        default_days=DAYS,
        observe=lambda pruned: None,
        # Every pass takes a second.
        monotonic=lambda: float(next(seconds)),
    )
    runs = [await closed_run(server, f"run-{n}") for n in range(BATCH + 1)]
    server.clock.advance(seconds=SECONDS + 1)
    assert await service.pass_over_all() == REST
    assert await expired(server) == runs[BATCH:]
    assert await service.pass_over_all() is None
    assert await expired(server) == []


async def test_a_process_that_comes_second_leaves_the_rest_to_the_first(
    server: SmallServer,
) -> None:
    for number in range(BATCH):
        await closed_run(server, f"run-{number}")
    server.clock.advance(seconds=SECONDS + 1)
    service = server.services.retention
    found = await service.expired("default", limit=BATCH)
    server.faults.before_next(
        "prune_runs",
        lambda: server.faults.real.prune_runs("default", found.run_ids, at=0),
    )
    assert await service.pass_over_all() is None


def test_transactions_are_bounded_by_runs_and_by_their_events() -> None:
    lengths = [1] * (MAX_RUNS + 1) + [MAX_EVENTS - 1, 1, 3 * MAX_EVENTS, 1]
    runs = [ClosedRun(f"r{n}", n, events) for n, events in enumerate(lengths)]
    parts = list(_transactions(runs))
    assert [len(part) for part in parts] == [MAX_RUNS, 2, 1, 1, 1]
    assert [run_id for part in parts for run_id in part] == [r.run_id for r in runs]

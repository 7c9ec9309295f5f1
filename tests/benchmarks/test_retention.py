"""The benchmark of retention: what it copies, and what it finds sound."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from benchmarks.retention.databases import Sqlite
from benchmarks.retention.filling import Filled, count_pruned, fill, keep_for
from benchmarks.retention.run import Measured
from benchmarks.retention.windows import Window
from benchmarks.servers import bootstrap
from dwserver.store.opening import open_store
from tests.store.test_retention import FAR, full_run
from tests.support.builders import NOON

COPIES = 5


def a_window(**fields: Any) -> Window:
    values: dict[str, Any] = {
        "is_pruning": False,
        "rate": 100.0,
        "p99_ms": 1.0,
        "server_cpu_ms_each": 1.0,
        "foreign_cores": 0.0,
        "errors": {},
        **fields,
    }
    return Window(**values)


def measured(*windows: Window) -> Measured:
    return Measured(database="x", filled=Filled(1, 1, 1.0), windows=list(windows))


async def test_a_run_is_copied_with_all_that_belongs_to_it(tmp_path: Path) -> None:
    database = Sqlite(tmp_path)
    bootstrap(database.url)
    store = open_store(database.url)
    await store.open()
    run = await full_run(store)
    await store.close()
    filled = fill(database, COPIES)
    assert filled.runs == COPIES
    with database.copied() as url:
        keep_for(database, url, 1)
        store = open_store(url)
        await store.open()
        namespace = await store.find_namespace("default")
        assert namespace is not None
        assert namespace.retention_days == 1
        expired = await store.expired_runs("default", closed_before=FAR, limit=100)
        copies = [each.run_id for each in expired if each.run_id != run.id]
        assert sorted(copies) == [f"{run.id}-{n}" for n in range(1, COPIES + 1)]
        deleted = await store.prune_runs("default", copies, at=NOON)
        assert [sum(deleted[each].values()) for each in copies] == [filled.rows] * 5
        await store.close()
        assert count_pruned(database, url) == COPIES
    assert count_pruned(database, database.url) == 0


def test_the_ratio_is_of_the_medians() -> None:
    rates = (100.0, 90.0, 300.0, 10.0, 110.0, 95.0)
    found = measured(
        *(a_window(rate=rate, is_pruning=n % 2 == 1) for n, rate in enumerate(rates))
    )
    assert found.ratio == round(90 / 110, 3)


def test_a_result_without_pruning_is_not_sound() -> None:
    at_rest = a_window()
    assert measured(at_rest, a_window(is_pruning=True, pruned=1, rate=86.0)).is_sound
    assert not measured(at_rest, a_window(is_pruning=True, rate=99.0)).is_sound
    assert not measured(
        at_rest, a_window(is_pruning=True, pruned=1, rate=84.0)
    ).is_sound
    failed = a_window(is_pruning=True, pruned=1, errors={"x": 1})
    assert not measured(at_rest, failed).is_sound

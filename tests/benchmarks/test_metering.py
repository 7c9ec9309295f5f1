"""Ticks of process trees, shares of the machine, differences of counters."""

from __future__ import annotations

import os
from urllib.parse import urlsplit

import asyncpg
import pytest

from benchmarks import metering
from benchmarks.database_counters import Counters, read_counters
from benchmarks.metering import MeteringError, ProcessTimes, Reading

TICKS = metering.TICKS_PER_SECOND


def test_parse_process_times_survives_a_hostile_name() -> None:
    stat = "77 (a) b) c) S 12 77 77 0 -1 0 9 9 9 9 100 20 3 4 20 0 1 0 555"
    assert metering.parse_process_times(stat) == ProcessTimes(12, 120, 7)


def test_parse_machine_ticks_counts_waiting_as_idle_and_guests_once() -> None:
    stat = "cpu  10 1 5 70 9 2 3 4 1000 1000\ncpu0 1 1 1 1 1 1 1 1 1 1\n"
    assert metering.parse_machine_ticks(stat) == (25, 104)


def test_tree_ticks_adds_descendants_and_ended_children() -> None:
    processes = {
        1: ProcessTimes(0, 1_000, 1_000),
        5: ProcessTimes(1, 10, 2),
        6: ProcessTimes(5, 20, 0),
        7: ProcessTimes(6, 30, 1),
        8: ProcessTimes(1, 500, 0),
    }
    assert metering.tree_ticks(5, processes) == 63


def test_tree_of_a_process_that_is_gone_is_an_error() -> None:
    with pytest.raises(MeteringError, match="5"):
        metering.tree_ticks(5, {1: ProcessTimes(0, 1, 1)})


def test_parse_pss_takes_the_sum_and_not_its_parts() -> None:
    text = "5500-7ff [rollup]\nRss: 900 kB\nPss: 300 kB\nPss_Anon: 200 kB\n"
    assert metering.parse_pss_bytes(text) == 300 * 1024


def test_usage_between_readings_separates_foreign_work() -> None:
    earlier = Reading(trees={"server": 100, "database": 50}, busy=1_000, total=5_000)
    later = Reading(
        trees={"server": 100 + 2 * TICKS, "database": 50 + TICKS},
        busy=1_000 + 5 * TICKS,
        total=5_000 + 20 * TICKS,
    )
    usage = metering.usage_between(earlier, later, cores=2)
    assert usage.cpu_seconds == {"server": 2.0, "database": 1.0}
    assert usage.busy_cores == pytest.approx(0.5)
    assert usage.foreign_cores == pytest.approx(0.2)


def test_usage_of_trees_beyond_the_machine_total_has_no_negative_foreign_part() -> None:
    earlier = Reading(trees={"server": 0}, busy=0, total=0)
    later = Reading(trees={"server": 12}, busy=10, total=20)
    assert metering.usage_between(earlier, later, cores=1).foreign_cores == 0


def test_read_sees_the_work_of_this_process() -> None:
    roots = {"self": os.getpid()}
    earlier = metering.read(roots)
    while metering.read(roots).trees["self"] < earlier.trees["self"] + 3:
        sum(range(100_000))
    later = metering.read(roots)
    assert later.trees["self"] >= earlier.trees["self"] + 3
    assert later.busy >= earlier.busy
    assert later.total > earlier.total


def test_pss_of_this_process_is_plausible() -> None:
    assert 1_000_000 < metering.pss_bytes(os.getpid()) < 10_000_000_000


def counters(scale: int) -> Counters:
    return Counters(
        commits=scale,
        transactions=2 * scale,
        rows_inserted=3 * scale,
        rows_updated=4 * scale,
        rows_deleted=5 * scale,
        wal_bytes=6 * scale,
    )


def test_counters_since_subtracts_each() -> None:
    assert counters(7).since(counters(2)) == counters(5)


async def test_counters_see_writes_apart_from_reads(empty_postgres_url: str) -> None:
    database = urlsplit(empty_postgres_url).path.lstrip("/")
    writer = await asyncpg.connect(empty_postgres_url)
    await writer.execute("create table t (i int)")
    earlier = await read_counters(writer, database)
    for _ in range(3):
        await writer.execute("insert into t values (1)")
    for _ in range(5):
        await writer.execute("select * from t")
    done = (await read_counters(writer, database)).since(earlier)
    await writer.close()
    assert 3 <= done.commits < 8  # vacuum may write, reads may not count
    assert done.wal_bytes > 0

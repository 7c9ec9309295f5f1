"""Metrics: the table, bounded labels, the listener."""

from __future__ import annotations

import re
import typing

import aiohttp
import pytest

from dwserver.runtime.metric_table import METRICS, MetricKind
from dwserver.runtime.metrics import OTHER, Counter, Gauge, Histogram, Metrics
from dwserver.runtime.metrics_server import MetricsServer

WRAPPERS = {
    MetricKind.COUNTER: Counter,
    MetricKind.GAUGE: Gauge,
    MetricKind.HISTOGRAM: Histogram,
}


def sample(metrics: Metrics, name: str, **labels: str) -> float | None:
    return metrics.registry.get_sample_value(name, labels)


def test_every_row_is_an_attribute_of_its_kind_and_no_other_exists() -> None:
    declared = typing.get_type_hints(Metrics)
    assert declared == {row.attribute: WRAPPERS[row.kind] for row in METRICS}


def test_names_are_unique_prefixed_and_say_their_unit() -> None:
    names = [row.name for row in METRICS]
    assert len(set(names)) == len(names)
    for row in METRICS:
        assert re.fullmatch(r"dw_[a-z_]+", row.name)
        assert row.name == f"dw_{row.attribute}"
        assert (row.kind is MetricKind.HISTOGRAM) == bool(row.buckets)
        assert list(row.buckets) == sorted(row.buckets)


def test_counter_counts_per_label_values() -> None:
    metrics = Metrics()
    metrics.http_requests.inc("workflows.start", "2xx")
    metrics.http_requests.inc("workflows.start", "2xx", amount=2)
    metrics.http_requests.inc("workflows.start", "4xx")
    labels = {"operation": "workflows.start", "status_class": "2xx"}
    assert sample(metrics, "dw_http_requests_total", **labels) == 3


def test_gauge_goes_up_and_down() -> None:
    metrics = Metrics()
    metrics.polls_waiting.inc("workflow")
    metrics.polls_waiting.inc("workflow")
    metrics.polls_waiting.inc("workflow", amount=-1)
    metrics.polls_waiting.set("activity", to=7)
    assert sample(metrics, "dw_polls_waiting", kind="workflow") == 1
    assert sample(metrics, "dw_polls_waiting", kind="activity") == 7


def test_histogram_counts_into_the_buckets_of_the_table() -> None:
    metrics = Metrics()
    metrics.commit_batch_size.observe(value=3)
    metrics.commit_batch_size.observe(value=100)
    assert sample(metrics, "dw_commit_batch_size_bucket", le="4.0") == 1
    assert sample(metrics, "dw_commit_batch_size_bucket", le="128.0") == 2
    assert sample(metrics, "dw_commit_batch_size_sum") == 103


def test_label_values_beyond_the_bound_are_counted_together_as_other() -> None:
    metrics = Metrics()
    bound = next(r for r in METRICS if r.attribute == "loop_failures").labels[0].bound
    for number in range(bound + 5):
        metrics.loop_failures.inc(f"loop-{number}")
    metrics.loop_failures.inc("loop-0")
    name = "dw_loop_failures_total"
    assert sample(metrics, name, loop=OTHER) == 5
    assert sample(metrics, name, loop="loop-0") == 2
    assert sample(metrics, name, loop=f"loop-{bound}") is None


def test_each_label_is_bounded_by_itself() -> None:
    metrics = Metrics()
    for number in range(20):
        metrics.http_requests.inc("known", f"class-{number}")
    assert (
        sample(metrics, "dw_http_requests_total", operation="known", status_class=OTHER)
        == 14
    )


def test_wrong_number_of_label_values_is_an_error() -> None:
    with pytest.raises(ValueError, match="expected 2"):
        Metrics().http_requests.inc("only-one")


def test_two_processes_in_one_test_do_not_share_their_numbers() -> None:
    first, second = Metrics(), Metrics()
    first.claim_rounds.inc()
    assert sample(first, "dw_claim_rounds_total") == 1
    assert sample(second, "dw_claim_rounds_total") == 0


async def test_server_answers_a_scrape_until_it_is_stopped() -> None:
    metrics = Metrics()
    metrics.tasks_leased.inc("workflow", "handoff")
    server = MetricsServer(metrics, "127.0.0.1", 0)
    await server.start()
    url = f"http://127.0.0.1:{server.port}/metrics"
    async with aiohttp.ClientSession() as client:
        async with client.get(url) as answer:
            text = await answer.text()
            assert answer.headers["Content-Type"].startswith("text/plain")
        await server.drain()
        async with client.get(url) as answer:
            assert answer.status == 200
        await server.stop()
        with pytest.raises(aiohttp.ClientConnectionError):
            await client.get(url)
    assert 'dw_tasks_leased_total{kind="workflow",way="handoff"} 1.0' in text


async def test_server_reports_a_port_that_is_taken_and_can_be_stopped() -> None:
    first = MetricsServer(Metrics(), "127.0.0.1", 0)
    await first.start()
    second = MetricsServer(Metrics(), "127.0.0.1", first.port)
    with pytest.raises(OSError, match="address"):
        await second.start()
    await second.stop()
    await first.stop()

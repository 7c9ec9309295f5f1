"""The metrics of one process, built from the table, with bounded labels."""

from __future__ import annotations

from collections.abc import Callable
from typing import Generic, TypeVar

from prometheus_client import (
    CollectorRegistry,
    ProcessCollector,
    disable_created_metrics,
    generate_latest,
)
from prometheus_client import Counter as PrometheusCounter
from prometheus_client import Gauge as PrometheusGauge
from prometheus_client import Histogram as PrometheusHistogram

from dwserver.runtime.metric_table import METRICS, Label, MetricDefinition, MetricKind

OTHER = "other"
"""Label value that stands for every value beyond a label's bound."""

_Child = TypeVar("_Child")


class _Bounded(Generic[_Child]):
    """A metric family whose children are cached by label values.

    A value beyond its label's bound counts as "other", so that a family can't grow
    with what clients send.
    """

    __slots__ = ("_bounds", "_child_of", "_children", "_seen")

    def __init__(
        self, child_of: Callable[..., _Child], labels: tuple[Label, ...]
    ) -> None:
        self._child_of = child_of
        self._bounds = tuple(label.bound for label in labels)
        self._seen: tuple[set[str], ...] = tuple(set() for _ in labels)
        self._children: dict[tuple[str, ...], _Child] = {}

    def _child(self, values: tuple[str, ...]) -> _Child:
        child = self._children.get(values)
        return self._admit(values) if child is None else child

    def _admit(self, values: tuple[str, ...]) -> _Child:
        if len(values) != len(self._bounds):
            raise ValueError(f"expected {len(self._bounds)} label values: {values}")
        bounded = tuple(map(self._bounded_value, values, self._seen, self._bounds))
        if bounded != values:
            # Not cached under the foreign values: those are unbounded.
            return self._child(bounded)
        child = self._child_of(*values)
        self._children[values] = child
        return child

    def _bounded_value(self, value: str, seen: set[str], bound: int) -> str:
        if value == OTHER or value in seen:
            return value
        if len(seen) >= bound:
            return OTHER
        seen.add(value)
        return value


class Counter(_Bounded[PrometheusCounter]):
    """A number that only grows."""

    __slots__ = ()

    def inc(self, *label_values: str, amount: float = 1) -> None:
        """Add to the child of these label values, in the table's order."""
        self._child(label_values).inc(amount)


class Gauge(_Bounded[PrometheusGauge]):
    """A number that goes up and down."""

    __slots__ = ()

    def set(self, *label_values: str, to: float) -> None:
        """Set the child of these label values."""
        self._child(label_values).set(to)

    def inc(self, *label_values: str, amount: float = 1) -> None:
        """Add to the child of these label values; negative amounts take away."""
        self._child(label_values).inc(amount)


class Histogram(_Bounded[PrometheusHistogram]):
    """A distribution over the table's buckets."""

    __slots__ = ()

    def observe(self, *label_values: str, value: float) -> None:
        """Count one value under these label values."""
        self._child(label_values).observe(value)


class Metrics:
    """All metrics of a process, one attribute for each row of `METRICS`."""

    http_requests: Counter
    http_request_seconds: Histogram
    polls_waiting: Gauge
    commit_batch_size: Histogram
    commit_seconds: Histogram
    transition_conflicts: Counter
    tasks_leased: Counter
    claim_rounds: Counter
    leases_expired: Counter
    timer_lag_seconds: Histogram
    loop_failures: Counter

    def __init__(self) -> None:
        # A second series per counter with its birth date doubles every scrape.
        disable_created_metrics()  # type: ignore[no-untyped-call]
        self.registry = CollectorRegistry()
        ProcessCollector(registry=self.registry)
        for definition in METRICS:
            setattr(self, definition.attribute, _build(definition, self.registry))

    def exposition(self) -> bytes:
        """Return the Prometheus text of all metrics."""
        return generate_latest(self.registry)


def _build(
    definition: MetricDefinition, registry: CollectorRegistry
) -> Counter | Gauge | Histogram:
    name, text = definition.name, definition.help
    labels = definition.labels
    names = [label.name for label in labels]
    match definition.kind:
        case MetricKind.COUNTER:
            counter = PrometheusCounter(name, text, names, registry=registry)
            return Counter(counter.labels if names else lambda: counter, labels)
        case MetricKind.GAUGE:
            gauge = PrometheusGauge(name, text, names, registry=registry)
            return Gauge(gauge.labels if names else lambda: gauge, labels)
        case MetricKind.HISTOGRAM:
            buckets = definition.buckets
            histogram = PrometheusHistogram(
                name, text, names, registry=registry, buckets=buckets
            )
            return Histogram(histogram.labels if names else lambda: histogram, labels)

"""The metrics of one process, built from the table, with bounded labels."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Generic, TypeVar

from prometheus_client import (
    CollectorRegistry,
    Metric,
    ProcessCollector,
    disable_created_metrics,
    generate_latest,
)
from prometheus_client import Counter as PrometheusCounter
from prometheus_client import Gauge as PrometheusGauge
from prometheus_client import Histogram as PrometheusHistogram

from dwserver.runtime.metric_table import METRICS, Label, MetricDefinition, MetricKind

MAX_UNREAD_VALUES = 4096
"""Values that a histogram keeps before it sorts them into its buckets."""

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


class _Count:
    """A counter's child: adds up by itself, and hands the sum over when it is read.
    The library's own locks and checks cost more than what is counted."""

    __slots__ = ("_child", "amount")

    def __init__(self, child: PrometheusCounter) -> None:
        self._child = child
        self.amount = 0.0

    def flush(self) -> None:
        amount, self.amount = self.amount, 0.0
        self._child.inc(amount)


class _Observations:
    """A histogram's child: keeps a bounded number of values until it is read."""

    __slots__ = ("_child", "values")

    def __init__(self, child: PrometheusHistogram) -> None:
        self._child = child
        self.values: list[float] = []

    def flush(self) -> None:
        values, self.values = self.values, []
        for value in values:
            self._child.observe(value)


class Counter(_Bounded[_Count]):
    """A number that only grows."""

    __slots__ = ()

    def inc(self, *label_values: str, amount: float = 1) -> None:
        """Add to the child of these label values, in the table's order."""
        self._child(label_values).amount += amount

    def flush(self) -> None:
        for child in self._children.values():
            child.flush()


class Gauge(_Bounded[PrometheusGauge]):
    """A number that goes up and down."""

    __slots__ = ()

    def set(self, *label_values: str, to: float) -> None:
        """Set the child of these label values."""
        self._child(label_values).set(to)

    def inc(self, *label_values: str, amount: float = 1) -> None:
        """Add to the child of these label values; negative amounts take away."""
        self._child(label_values).inc(amount)


class Histogram(_Bounded[_Observations]):
    """A distribution over the table's buckets."""

    __slots__ = ()

    def observe(self, *label_values: str, value: float) -> None:
        """Count one value under these label values."""
        child = self._child(label_values)
        child.values.append(value)
        if len(child.values) >= MAX_UNREAD_VALUES:
            child.flush()

    def flush(self) -> None:
        for child in self._children.values():
            child.flush()


class _Registry(CollectorRegistry):
    """Brings what it shows up to date first."""

    def __init__(self, flush: Callable[[], None]) -> None:
        super().__init__()
        self._flush = flush

    def collect(self) -> Iterable[Metric]:
        self._flush()
        return super().collect()


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
    timeouts: Counter
    runs_pruned: Counter
    queries: Counter
    query_tasks_pending: Gauge
    redis_up: Gauge
    redis_outages: Counter
    wake_messages: Counter
    wake_signals: Counter
    timer_lag_seconds: Histogram
    leader_term: Gauge
    schedule_fires: Counter
    schedule_lag_seconds: Histogram
    external_transfers: Counter
    forwarded_requests: Counter
    peer_connections: Gauge
    peer_breakers: Gauge
    loop_failures: Counter

    def __init__(self) -> None:
        # A second series per counter with its birth date doubles every scrape.
        disable_created_metrics()  # type: ignore[no-untyped-call]
        self.registry = _Registry(self._flush)
        self._flushed: list[Counter | Histogram] = []
        ProcessCollector(registry=self.registry)
        for definition in METRICS:
            built = _build(definition, self.registry)
            setattr(self, definition.attribute, built)
            if not isinstance(built, Gauge):
                self._flushed.append(built)

    def _flush(self) -> None:
        for metric in self._flushed:
            metric.flush()

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
            return Counter(
                lambda *values: _Count(counter.labels(*values) if names else counter),
                labels,
            )
        case MetricKind.GAUGE:
            gauge = PrometheusGauge(name, text, names, registry=registry)
            return Gauge(gauge.labels if names else lambda: gauge, labels)
        case MetricKind.HISTOGRAM:
            buckets = definition.buckets
            histogram = PrometheusHistogram(
                name, text, names, registry=registry, buckets=buckets
            )
            return Histogram(
                lambda *values: _Observations(
                    histogram.labels(*values) if names else histogram
                ),
                labels,
            )

"""The workloads as data (``spec/performance.md §2``)."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class Kind(StrEnum):
    """How the load of a workload is made."""

    CLOSED_LOOP = "closed_loop"
    STARTS = "starts"
    IDLE_POLLS = "idle_polls"
    TIMERS = "timers"
    SIGNALS = "signals"
    GROWTH = "growth"
    LOSSES = "losses"


@dataclass(frozen=True, slots=True, kw_only=True)
class Workload:
    """``steps`` batches of ``fan_out`` parallel activities each, then completion.

    ``unit`` is the word for one counted operation; ``concurrencies`` are the clients
    (for idle polls: the open polls) of its points when the caller asks for no others;
    of a ``is_single`` workload they cannot be chosen. ``amount``: timers of W4, signals
    per run of W5, events of W8. ``has_floor``: the floor server can do it.
    """

    name: str
    title: str
    kind: Kind
    unit: str
    concurrencies: tuple[int, ...]
    steps: int = 0
    fan_out: int = 1
    amount: int = 0
    is_single: bool = False
    has_floor: bool = True

    @property
    def label(self) -> str:
        return f"W{self.name[1:]}"


@dataclass(frozen=True, slots=True, kw_only=True)
class IdleFleet:
    """Who holds the idle polls of W6."""

    workers: int = 1_000
    queues: int = 20


W1 = Workload(
    name="w1",
    title="one activity",
    kind=Kind.CLOSED_LOOP,
    unit="workflow",
    concurrencies=(1, 16, 64, 256),
    steps=1,
)
W2 = Workload(
    name="w2",
    title="10 activities one after the other",
    kind=Kind.CLOSED_LOOP,
    unit="workflow",
    concurrencies=(1, 16),
    steps=10,
)
W3 = Workload(
    name="w3",
    title="100 parallel activities",
    kind=Kind.CLOSED_LOOP,
    unit="workflow",
    concurrencies=(1, 4),
    steps=1,
    fan_out=100,
)
W4 = Workload(
    name="w4",
    title="5,000 timers due within one second",
    kind=Kind.TIMERS,
    unit="timer",
    concurrencies=(32,),
    amount=5_000,
    is_single=True,
    has_floor=False,
)
W5 = Workload(
    name="w5",
    title="10 signals to each waiting run",
    kind=Kind.SIGNALS,
    unit="signal",
    concurrencies=(1, 8),
    amount=10,
    has_floor=False,
)
W6 = Workload(
    name="w6",
    title="idle long polls",
    kind=Kind.IDLE_POLLS,
    unit="poll",
    concurrencies=(2_000,),
    is_single=True,
)
W8 = Workload(
    name="w8",
    title="one run that grows to 10,000 events",
    kind=Kind.GROWTH,
    unit="event",
    concurrencies=(1,),
    amount=10_000,
    is_single=True,
    has_floor=False,
)
W9A = Workload(
    name="w9a",
    title="accepted starts, no worker",
    kind=Kind.STARTS,
    unit="start",
    concurrencies=(64,),
)

WX = Workload(
    name="wx",
    title="one activity, while nodes die",
    kind=Kind.LOSSES,
    unit="workflow",
    concurrencies=(64,),
    steps=1,
    is_single=True,
    has_floor=False,
)

ON_ONE_SERVER = (W1, W2, W3, W4, W5, W6, W8, W9A)
"""Those that one server is measured with; WX needs a cluster."""

WORKLOADS = {workload.name: workload for workload in (*ON_ONE_SERVER, WX)}

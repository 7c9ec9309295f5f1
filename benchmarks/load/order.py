"""What the runner tells a load process, and what it hears back.

The order is one JSON argument. The process answers with lines of JSON on standard
output: ``{"phase": …}`` when it reaches a phase, in the order of :class:`Phase`, and at
last ``{"result": …}``. The runner reads its meters when a phase arrives.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from enum import StrEnum
from typing import Any

import orjson

from benchmarks.load.latency import Latency


class Phase(StrEnum):
    """``REGISTERED``: workers are known, no poll is open yet."""

    REGISTERED = "registered"
    WINDOW_OPENED = "window_opened"
    WINDOW_CLOSED = "window_closed"


@dataclass(frozen=True, slots=True, kw_only=True)
class Order:
    """One point: ``workload`` (a name in ``WORKLOADS``) with ``concurrency`` clients,
    whose connections are spread over ``urls``.

    ``tag`` makes workflow ids, queues and workers of this order unlike all others.
    """

    workload: str
    urls: Sequence[str]
    token: str
    concurrency: int
    warmup_seconds: float
    window_seconds: float
    tag: str

    def to_json(self) -> str:
        return orjson.dumps(asdict(self)).decode()

    @classmethod
    def from_json(cls, text: str) -> Order:
        return cls(**orjson.loads(text))


@dataclass(frozen=True, slots=True, kw_only=True)
class LoadResult:
    """``operations``: what was finished within the window. ``errors``: text → times.
    ``completed_at``: of WX, when workflows were completed (seconds of the monotonic
    clock, which is one for all processes of the machine)."""

    operations: int
    counts: Mapping[str, int] = field(default_factory=dict)
    errors: Mapping[str, int] = field(default_factory=dict)
    latencies: Mapping[str, Latency] = field(default_factory=dict)
    completed_at: Sequence[float] = ()

    def to_json(self) -> bytes:
        return orjson.dumps(asdict(self))

    @classmethod
    def from_document(cls, document: Mapping[str, Any]) -> LoadResult:
        latencies = {k: Latency(**v) for k, v in document["latencies"].items()}
        return cls(**{**document, "latencies": latencies})

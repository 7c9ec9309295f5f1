"""Recorded traces, sent again to a live server in their order.

Ids that the server gives out are learnt from its answers, where the recording has its
own, and put into the later requests.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import orjson

from tests.golden.shapes import ULID
from tests.support.json_http import CONTROL_PLANE_HEADER, WORKER_HEADER, JsonHttp

FIXTURES = Path(__file__).parent / "fixtures"
ANY_ID = re.compile(rf"\b({ULID.pattern})\b")
# What the recordings leave out: it is the same in every answer.
LEFT_OUT = frozenset({"server_capabilities", "contract"})
PROTOCOL_VERSION = "1.0"
CONTROL_PLANE_VERSION = "2"
TASK_QUEUE = "lq"
WORKER_ID = "L"


@dataclass(frozen=True, slots=True)
class Exchange:
    """``number`` tells exchanges of the same name apart."""

    name: str
    number: int
    plane: str
    method: str
    path: str
    body: Any
    status: int
    answer: Any

    @property
    def label(self) -> str:
        return self.name if self.number == 1 else f"{self.name}#{self.number}"


def exchanges_of(family: str) -> list[Exchange]:
    found: list[Exchange] = []
    for item in orjson.loads((FIXTURES / f"{family}.json").read_bytes()):
        number = 1 + sum(known.name == item["name"] for known in found)
        found.append(Exchange(number=number, **item))
    return found


@dataclass
class Replay:
    """One trace in a namespace of its own."""

    http: JsonHttp
    namespace: str
    token: str
    ids: dict[str, str] = field(default_factory=dict)

    def prepare(self, *, workflow_types: list[str], activity_types: list[str]) -> None:
        """The namespace and the worker that the traces take for granted."""
        self.send("control", "POST", "/api/namespaces", {"name": self.namespace})
        registration = {
            "worker_id": WORKER_ID,
            "task_queue": TASK_QUEUE,
            "runtime": "python",
            "supported_workflow_types": workflow_types,
            "supported_activity_types": activity_types,
        }
        self.send("worker", "POST", "/api/worker/register", registration)

    def answer(self, exchange: Exchange) -> tuple[int, Any]:
        """Status and body, without what the recordings leave out."""
        status, body = self.send(
            exchange.plane,
            exchange.method,
            self._with_our_ids(exchange.path),
            self._with_our_ids(exchange.body),
        )
        for theirs, ours in pairs(exchange.answer, body):
            self.ids.setdefault(theirs, ours)
        return status, body

    def send(self, plane: str, method: str, path: str, body: Any) -> tuple[int, Any]:
        headers = {
            "Authorization": f"Bearer {self.token}",
            "X-Namespace": self.namespace,
            **(
                {WORKER_HEADER: PROTOCOL_VERSION}
                if plane == "worker"
                else {CONTROL_PLANE_HEADER: CONTROL_PLANE_VERSION}
            ),
        }
        answer = self.http.request(method, path, body, headers=headers)
        return answer.status, without(LEFT_OUT, answer.body)

    def _with_our_ids(self, value: Any) -> Any:
        if isinstance(value, str):
            return ANY_ID.sub(lambda m: self.ids.get(m[0], m[0]), value)
        if isinstance(value, list):
            return [self._with_our_ids(item) for item in value]
        if isinstance(value, dict):
            return {key: self._with_our_ids(item) for key, item in value.items()}
        return value


def without(names: frozenset[str], value: Any) -> Any:
    if isinstance(value, dict):
        return {k: without(names, v) for k, v in value.items() if k not in names}
    if isinstance(value, list):
        return [without(names, item) for item in value]
    return value


def pairs(theirs: Any, ours: Any) -> Iterator[tuple[str, str]]:
    """Ids that stand in the same place of both documents."""
    if isinstance(theirs, dict) and isinstance(ours, dict):
        for name in theirs.keys() & ours.keys():
            yield from pairs(theirs[name], ours[name])
    elif isinstance(theirs, list) and isinstance(ours, list):
        for one, other in zip(theirs, ours, strict=False):
            yield from pairs(one, other)
    elif isinstance(theirs, str) and isinstance(ours, str):
        found, own = ANY_ID.findall(theirs), ANY_ID.findall(ours)
        if len(found) == len(own):
            yield from zip(found, own, strict=True)


def coalesced(value: Any, event_types: frozenset[str]) -> Any:
    """Of events of such a type that follow each other only the first is left."""
    if isinstance(value, dict):
        return {name: coalesced(item, event_types) for name, item in value.items()}
    if not isinstance(value, list) or not event_types:
        return value
    kept: list[Any] = []
    for item in value:
        kind = item.get("event_type") if isinstance(item, dict) else None
        if kind in event_types and kept and kept[-1]["event_type"] == kind:
            continue
        kept.append(item)
    return kept

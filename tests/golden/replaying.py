"""Recorded traces, sent again to a live server in their order.

Ids that the server gives out are learnt from its answers, where the recording has its
own, and put into the later requests.
"""

from __future__ import annotations

import asyncio
import base64
import re
import zlib
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import orjson

from tests.golden.live_node import LiveNode
from tests.golden.shapes import ULID
from tests.support.json_http import CONTROL_PLANE_HEADER, WORKER_HEADER

FIXTURES = Path(__file__).parent / "fixtures"
ANY_ID = re.compile(rf"\b({ULID.pattern})\b")
TASK_PATH = re.compile(rf"/(?:workflow|activity|query)-tasks/({ULID.pattern})/")
# What the recordings leave out: it is the same in every answer.
LEFT_OUT = frozenset({"server_capabilities", "contract"})
PAGE_TOKEN = "next_page_token"
PROTOCOL_VERSION = "1.0"
CONTROL_PLANE_VERSION = "2"


@dataclass(frozen=True, slots=True, kw_only=True)
class Exchange:
    """``number`` tells exchanges of the same name apart. A body that is no JSON is
    ``{"__raw__": text}``."""

    name: str
    number: int
    method: str
    path: str
    headers: dict[str, str]
    body: Any
    status: int
    answer: Any
    answer_headers: dict[str, str] = field(default_factory=dict)

    @property
    def label(self) -> str:
        return self.name if self.number == 1 else f"{self.name}#{self.number}"

    @property
    def namespace(self) -> str | None:
        named = {name.lower(): value for name, value in self.headers.items()}
        return named.get("x-namespace")


def exchanges_of(family: str) -> list[Exchange]:
    found: list[Exchange] = []
    for item in orjson.loads((FIXTURES / f"{family}.json").read_bytes()):
        number = 1 + sum(known.name == item["name"] for known in found)
        item["answer"] = expanded(item["answer"])
        found.append(Exchange(number=number, **item))
    return found


@dataclass(frozen=True, slots=True)
class Answered:
    """``body`` without what the recordings leave out."""

    status: int
    body: Any
    headers: dict[str, str]


@dataclass
class Replay:
    """One family on a node. ``exchange``: the one that comes next; ``namespace``: of
    what is done between recorded exchanges; ``held``: a task kept for later."""

    node: LiveNode
    exchanges: list[Exchange]
    namespace: str
    ids: dict[str, str] = field(default_factory=dict)
    tokens: dict[str, str] = field(default_factory=dict)
    exchange: Exchange = field(init=False)
    waiting: dict[str, asyncio.Task[Answered]] = field(default_factory=dict)
    answers: dict[str, Answered] = field(default_factory=dict)
    held: dict[str, Any] = field(default_factory=dict)

    async def answer(self, exchange: Exchange) -> Answered:
        """What the server says now; the recorded ids are known from then on."""
        begun = self.waiting.pop(exchange.label, None)
        answered = await (begun or self.sent(exchange))
        self.answers[exchange.label] = answered
        self.learn(exchange.answer, answered.body)
        return answered

    def begin(self, exchange: Exchange) -> None:
        """Send it; its answer is awaited when its turn comes."""
        self.waiting[exchange.label] = asyncio.create_task(self.sent(exchange))

    async def sent(self, exchange: Exchange) -> Answered:
        return await self._send(
            exchange.method,
            self._with_our_token(self._with_our_ids(exchange.path)),
            exchange.headers,
            self._with_our_ids(exchange.body),
        )

    def learn(self, theirs: Any, ours: Any) -> None:
        for one, other in pairs(theirs, ours):
            self.ids.setdefault(one, other)
        if isinstance(theirs, dict) and theirs.get(PAGE_TOKEN) and ours.get(PAGE_TOKEN):
            self.tokens[theirs[PAGE_TOKEN]] = ours[PAGE_TOKEN]

    # what was not recorded -------------------------------------------------------
    async def operator(self, method: str, path: str, body: Any = None) -> Any:
        """The answer to a request of ours to the control plane."""
        return await self._ours("admin", CONTROL_PLANE_HEADER, method, path, body)

    async def worker(self, path: str, body: Any) -> Any:
        """The answer to a request of ours to the worker plane."""
        path = f"/api/worker/{path}"
        return await self._ours("worker", WORKER_HEADER, "POST", path, body)

    async def make_namespace(self, name: str | None = None) -> None:
        await self.operator("POST", "/api/namespaces", {"name": name or self.namespace})

    async def register(self, worker_id: str, task_queue: str, **fields: Any) -> None:
        await self.worker(
            "register",
            {
                "worker_id": worker_id,
                "task_queue": task_queue,
                "runtime": "python",
                **fields,
            },
        )

    async def start(self, workflow_id: str, workflow_type: str, **fields: Any) -> None:
        """Start a workflow; the recorded id of its run is known from then on."""
        body = {"workflow_id": workflow_id, "workflow_type": workflow_type, **fields}
        started = await self.operator("POST", "/api/workflows", body)
        for recorded in self._recorded_runs(workflow_id):
            if recorded not in self.ids:
                self.ids[recorded] = started["run_id"]
                return

    async def poll(
        self,
        kind: str,
        worker_id: str,
        task_queue: str,
        *,
        task_id: str | None = None,
        attempt_id: str | None = None,
    ) -> dict[str, Any]:
        """The task that a worker gets, with its recorded ids: those given, or else
        those that the next exchange has for a task that nobody has seen."""
        body = {"worker_id": worker_id, "task_queue": task_queue}
        task: dict[str, Any] = (await self.worker(f"{kind}-tasks/poll", body))["task"]
        assert task is not None, self.exchange.label
        found = TASK_PATH.search(self.exchange.path)
        task_id = task_id or (found and found[1])
        if task_id is not None:
            self.ids.setdefault(task_id, task["task_id"])
        sent = self.exchange.body if isinstance(self.exchange.body, dict) else {}
        attempt_id = attempt_id or sent.get("activity_attempt_id")
        if attempt_id is not None and kind == "activity":
            self.ids.setdefault(attempt_id, task["activity_attempt_id"])
        return task

    async def complete(self, task: dict[str, Any], *commands: dict[str, Any]) -> Any:
        return await self.worker(
            f"workflow-tasks/{task['task_id']}/complete",
            {
                "lease_owner": task["lease_owner"],
                "workflow_task_attempt": task["workflow_task_attempt"],
                "commands": commands,
            },
        )

    async def _ours(
        self, role: str, version_header: str, method: str, path: str, body: Any
    ) -> Any:
        is_worker = version_header == WORKER_HEADER
        headers = {
            "Authorization": f"Bearer {role}-token",
            "X-Namespace": self.namespace,
            version_header: PROTOCOL_VERSION if is_worker else CONTROL_PLANE_VERSION,
            "Content-Type": "application/json",
        }
        answered = await self._send(method, path, headers, body)
        assert answered.status < 300, (path, body, answered)
        return answered.body

    def _recorded_runs(self, workflow_id: str) -> Iterator[str]:
        for exchange in self.exchanges:
            for found in documents(exchange.answer):
                if found.get("workflow_id") == workflow_id and found.get("run_id"):
                    yield found["run_id"]

    async def _send(
        self, method: str, path: str, headers: dict[str, str], body: Any
    ) -> Answered:
        answer = await self.node.client.send(method, path, headers, body=encoded(body))
        received = {name.lower(): value for name, value in answer.headers.items()}
        content = decoded(answer.raw, received.get("content-encoding"))
        parsed = orjson.loads(content) if content else None
        return Answered(answer.status, expanded(without(LEFT_OUT, parsed)), received)

    def _with_our_token(self, path: str) -> str:
        start, name, token = path.partition(f"{PAGE_TOKEN}=")
        return start + name + self.tokens.get(token, token)

    def _with_our_ids(self, value: Any) -> Any:
        if isinstance(value, str):
            return ANY_ID.sub(lambda m: self.ids.get(m[0], m[0]), value)
        if isinstance(value, list):
            return [self._with_our_ids(item) for item in value]
        if isinstance(value, dict):
            return {key: self._with_our_ids(item) for key, item in value.items()}
        return value


def encoded(body: Any) -> bytes | None:
    """The bytes of a recorded body."""
    match body:
        case None:
            return None
        case {"__raw__": text}:
            return str(text).encode("latin-1")
        case {"__raw_length__": length, "__raw_prefix__": text}:
            return padded(text, length)
        case {"__json_length__": length, "__json_prefix__": text}:
            return padded(compact(text), length)
        case _:
            return orjson.dumps(body)


def padded(prefix: str, length: int) -> bytes:
    """A long body of which the recording has the beginning: its last text goes on, and
    what is open is closed."""
    end = '"' + closing(prefix) if prefix.startswith("{") else ""
    filler = "x" * (length - len(prefix) - len(end))
    return (prefix + filler + end).encode()


def compact(prefix: str) -> str:
    """Without the blanks between members: the length does not count them."""
    parts = prefix.split('"')
    parts[::2] = [part.replace(" ", "") for part in parts[::2]]
    return '"'.join(parts)


def closing(prefix: str) -> str:
    """The brackets that close a document which ends within a text."""
    outside = prefix.split('"')[::2]
    is_open: list[str] = []
    for character in "".join(outside):
        if character in "{[":
            is_open.append("}" if character == "{" else "]")
        elif character in "}]":
            is_open.pop()
    return "".join(reversed(is_open))


def decoded(raw: bytes, encoding: str | None) -> bytes:
    match encoding:
        case None:
            return raw
        case "gzip":
            return zlib.decompress(raw, wbits=31)
        case "deflate":
            return zlib.decompress(raw, wbits=-15)
        case _:
            raise AssertionError(encoding)


def without(names: frozenset[str], value: Any) -> Any:
    if isinstance(value, dict):
        return {k: without(names, v) for k, v in value.items() if k not in names}
    if isinstance(value, list):
        return [without(names, item) for item in value]
    return value


def expanded(value: Any) -> Any:
    """Compressed histories as the lists of events that they hold."""
    if isinstance(value, list):
        return [expanded(item) for item in value]
    if not isinstance(value, dict):
        return value
    name = "history_events_compressed"
    return {
        key: _decompressed(item) if key == name else expanded(item)
        for key, item in value.items()
    }


def _decompressed(text: str) -> Any:
    """gzip, or deflate without a header."""
    raw = base64.b64decode(text)
    is_gzip = raw.startswith(b"\x1f\x8b")
    return orjson.loads(zlib.decompress(raw, wbits=31 if is_gzip else -15))


def documents(value: Any) -> Iterator[dict[str, Any]]:
    """Every object of a document."""
    if isinstance(value, dict):
        yield value
        value = list(value.values())
    if isinstance(value, list):
        for item in value:
            yield from documents(item)


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


def type_of_event(value: Any) -> str | None:
    """Of an event as routes show it, or of an event or a line in a bundle."""
    if not isinstance(value, dict):
        return None
    is_of_bundle = "recorded_at" in value and "sequence" in value
    found = value.get("event_type") or (value.get("type") if is_of_bundle else None)
    return None if found is None else str(found)


@dataclass(frozen=True, slots=True)
class EventRules:
    """How the events of two histories are brought together. ``coalesced``: types of
    which only the first in a row is looked at, ``dropped``: types of which none is;
    ``absent``: recorded commands that were not taken here."""

    coalesced: frozenset[str] = frozenset()
    dropped: frozenset[str] = frozenset()
    absent: frozenset[str] = frozenset()

    def applied(self, value: Any) -> Any:
        """A document with only those events, numbered anew."""
        if isinstance(value, dict):
            return {name: self.applied(item) for name, item in value.items()}
        if not isinstance(value, list):
            return value
        kept: list[Any] = []
        for item in value:
            kind = type_of_event(item)
            if kind is None or not self._is_left_out(kind, item, kept):
                kept.append(self.applied(item))
        if len(kept) == len(value):
            return kept
        first = value[0]["sequence"]
        return [{**event, "sequence": first + at} for at, event in enumerate(kept)]

    def _is_left_out(self, kind: str, event: dict[str, Any], kept: list[Any]) -> bool:
        is_repeated = kept and type_of_event(kept[-1]) == kind
        is_arrival = kind.endswith(("Received", "Accepted"))
        command_id = event.get("payload", {}).get("workflow_command_id")
        return (
            kind in self.dropped
            or bool(is_repeated and kind in self.coalesced)
            or (is_arrival and command_id in self.absent)
        )

"""What the lists are asked, and how often each answer is timed."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass
from urllib.parse import urlencode

import orjson

from benchmarks.lists.filling import Filled
from benchmarks.load.http_client import Connection
from benchmarks.load.latency import Latency, summarise

WORKFLOWS = "/api/workflows"
HTTP_OK = 200


class Refused(Exception):
    """An answer that is not 200, or not what was asked for."""


@dataclass(frozen=True, slots=True)
class Question:
    """Page number ``page`` of the runs that the filter shows. ``first``: the question
    that this one is compared with."""

    name: str
    filter: Mapping[str, str]
    page_size: int = 50
    page: int = 1
    first: str | None = None


_WIDE = 200
QUESTIONS = (
    Question("list of 50", {}),
    Question("list of 200", {}, _WIDE),
    Question("page 50 of 200", {}, _WIDE, 50, "list of 200"),
    Question("page 450 of 200", {}, _WIDE, 450, "list of 200"),
    Question("list of 50, running", {"status": "running"}),
    Question(
        "page 90 of 50, running", {"status": "running"}, 50, 90, "list of 50, running"
    ),
    Question("list of 50, of a type", {"workflow_type": "orders.Type3"}),
    Question(
        "page 90 of 50, of a type",
        {"workflow_type": "orders.Type3"},
        50,
        90,
        "list of 50, of a type",
    ),
    Question(
        "list of 50, of a type and running",
        {"workflow_type": "orders.Type0", "query": "Status = 'waiting'"},
    ),
    Question("50 by a keyword", {"query": "Customer = 'c-17'"}),
    Question("50 by an ordered attribute", {"query": "Amount >= 500"}),
    Question(
        "page 450 of 50 by an ordered attribute",
        {"query": "Amount >= 500"},
        50,
        450,
        "50 by an ordered attribute",
    ),
    Question("one by its workflow id", {"query": "WorkflowId = 'order-77'"}),
    Question("one by a part of its key (all rows are read)", {"query": "key-777777"}),
)


@dataclass(frozen=True, slots=True)
class Timed:
    name: str
    latency: Latency
    first: str | None = None


async def ask_all(
    connection: Connection, filled: Filled, *, rounds: int
) -> list[Timed]:
    """Every question in turn, ``rounds`` times, so that all see the same machine."""
    paths = {
        question.name: await _path_of(connection, question) for question in QUESTIONS
    }
    paths["describe, closed"] = f"{WORKFLOWS}/{filled.closed_id}"
    paths["describe, open"] = f"{WORKFLOWS}/{filled.open_id}"
    seconds: dict[str, list[float]] = {name: [] for name in paths}
    for round_ in range(-max(3, rounds // 20), rounds):
        for name, path in paths.items():
            began = time.perf_counter()
            await _ask(connection, path)
            # The first rounds warm up: statements are prepared, pages are read.
            if round_ >= 0:
                seconds[name].append(time.perf_counter() - began)
    firsts = {question.name: question.first for question in QUESTIONS}
    return [
        Timed(name, latency, firsts.get(name))
        for name, taken in seconds.items()
        if (latency := summarise(taken)) is not None
    ]


async def _path_of(connection: Connection, question: Question) -> str:
    """The path of the page, reached from the first one as a client does."""
    words: dict[str, str] = {**question.filter, "page_size": str(question.page_size)}
    for _ in range(question.page - 1):
        page = orjson.loads(await _ask(connection, f"{WORKFLOWS}?{urlencode(words)}"))
        if page["next_page_token"] is None:
            raise Refused(f"{question.name}: there are not so many pages")
        words["next_page_token"] = page["next_page_token"]
    return f"{WORKFLOWS}?{urlencode(words)}"


async def _ask(connection: Connection, path: str) -> bytes:
    status, body = await connection.request("GET", path)
    if status != HTTP_OK:
        raise Refused(f"{path}: {status} {body[:500]!r}")
    return body

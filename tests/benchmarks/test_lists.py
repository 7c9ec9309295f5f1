"""The benchmark of the lists: what it writes, what it asks, what it tells."""

from __future__ import annotations

from pathlib import Path
from urllib.parse import urlencode

from benchmarks.lists.filling import Filled, fill
from benchmarks.lists.questions import QUESTIONS, Timed
from benchmarks.lists.run import Measured, parse_arguments, to_document, to_markdown
from benchmarks.load.latency import Latency
from tests.benchmarks.points import CIRCUMSTANCES
from tests.support.json_http import operator
from tests.support.processes import TEST_TOKEN, StartServer

FILLED = Filled(100, 1.5, "order-40", "order-41")


def timed(name: str, p50_ms: float, first: str | None = None) -> Timed:
    latency = Latency(
        count=3, mean_ms=p50_ms, p50_ms=p50_ms, p90_ms=9.0, p99_ms=9.5, max_ms=9.9
    )
    return Timed(name, latency, first)


def test_deep_pages_are_compared_with_the_first_one() -> None:
    measured = Measured(
        database="SQLite",
        filled=FILLED,
        timed=[timed("first", 2.0), timed("deep", 5.0, "first")],
    )
    assert measured.ratios() == {"deep": 2.5}
    [database] = to_document(CIRCUMSTANCES, [measured])["databases"]
    assert database["ratios"] == {"deep": 2.5}
    text = to_markdown(CIRCUMSTANCES, [measured])
    assert "| first | 2.00 | 9.50 |  |" in text
    assert "| deep | 5.00 | 9.50 | 2.5 |" in text


def test_questions_are_compared_with_questions_of_the_same_filter() -> None:
    known = {question.name: question for question in QUESTIONS}
    assert len(known) == len(QUESTIONS)
    for question in QUESTIONS:
        if question.first is not None:
            first = known[question.first]
            assert (first.filter, first.page_size) == (
                question.filter,
                question.page_size,
            )
            assert (first.page, question.page > 1) == (1, True)


def test_arguments_default_to_a_full_database() -> None:
    assert parse_arguments([]).runs == 100_000
    assert parse_arguments(["--json", "x.json"]).json == Path("x.json")


async def test_what_is_written_answers_the_questions(
    sqlite_url: str, start_server: StartServer
) -> None:
    filled = await fill(sqlite_url, 200)
    http = operator(start_server(sqlite_url).base_url, TEST_TOKEN)
    for question in QUESTIONS:
        path = f"/api/workflows?{urlencode(question.filter)}"
        page = http.request("GET", path).expect(200)
        # Keys and customers go on beyond the first 200.
        is_beyond = "key-777777" in path
        assert bool(page["workflows"]) is not is_beyond, question.name
    shown = http.request("GET", f"/api/workflows/{filled.open_id}").expect(200)
    assert shown["is_terminal"] is False
    shown = http.request("GET", f"/api/workflows/{filled.closed_id}").expect(200)
    assert (shown["status"], shown["closed_reason"]) == ("completed", "completed")

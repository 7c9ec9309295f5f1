"""Each request that changes something is sent three times: once would have been enough.

The table says what a repeat comes to, and the page is made from it.
"""

from __future__ import annotations

from typing import Any

import pytest

from dwserver.http.repetition import REPETITIONS, Repeat
from dwserver.http.repetition_page import PATH, render, write_file
from dwserver.http.route import Method
from dwserver.http.routes import CONTROL_PLANE_ROUTES, WORKER_ROUTES, api_document
from tests.http.inhabited import PATIENCE
from tests.http.repeated_requests import REQUESTS, TIMES, Room
from tests.support.processes import StartServer
from tests.support.source_tree import ROOT
from tests.support.stored_state import read_state

CHANGING = [
    route.label
    for route in (*CONTROL_PLANE_ROUTES, *WORKER_ROUTES)
    if route.method is not Method.GET
]
# Nothing runs out while the test looks; a query has time for its answer.
SETTINGS = {**PATIENCE, "DW_QUERY_TASK_TIMEOUT": "20"}


def test_every_route_that_changes_something_says_what_a_repeat_does() -> None:
    assert set(CHANGING) == REPETITIONS.keys()
    assert set(CHANGING) == REQUESTS.keys()


def test_the_description_of_the_api_says_so_too() -> None:
    paths = api_document()["paths"]
    for label, repetition in REPETITIONS.items():
        method, _, path = label.partition(" ")
        assert paths[path][method.lower()]["description"] == repetition.text


def test_committed_page_is_what_the_table_generates() -> None:
    committed = (ROOT / PATH).read_text(encoding="utf-8")
    assert committed == render(), "run: python -m dwserver.http.repetition_page"


def test_the_page_is_written_below_the_root(tmp_path: Any) -> None:
    write_file(tmp_path)
    assert (tmp_path / PATH).read_text(encoding="utf-8") == render()


@pytest.mark.parametrize(
    "engine", ["sqlite", pytest.param("postgres", marks=pytest.mark.full)]
)
def test_three_requests_leave_what_one_does(
    engine: str, request: pytest.FixtureRequest, start_server: StartServer
) -> None:
    database_url = request.getfixturevalue(f"{engine}_url")
    room = Room(start_server(database_url, SETTINGS).base_url)
    for label, repetition in REPETITIONS.items():
        sent = REQUESTS[label](room)
        answers, states = [], []
        for _ in range(TIMES):
            answers.append(room.send(sent))
            states.append(state_of(room, database_url, repetition.is_recorded))
        first, *repeats = answers
        assert first.status < 300, (label, first)
        for repeat in repeats:
            assert repeat.status == repetition.status, (label, repeat)
            if repetition.reason is not None:
                assert repeat.body["reason"] == repetition.reason, label
            if repetition.repeat is Repeat.SAME_ANSWER:
                assert repeat.body == first.body, label
        assert states[1:] == states[:1] * (TIMES - 1), label


def state_of(room: Room, database_url: str, is_recorded: bool) -> Any:
    """What is stored and shown; without records of repeats where they are kept."""
    stored = read_state(database_url)
    shown = [
        room.control.request("GET", f"/api/{path}").expect(200)
        for path in ("namespaces", "search-attributes", "workers")
    ]
    for worker in shown[2]["workers"]:
        # Signs of life are written from time to time.
        del worker["last_heartbeat_at"]
    shown[2]["workers"].sort(key=lambda worker: worker["worker_id"])
    for namespace in shown[0]["namespaces"]:
        del namespace["updated_at"]
    if not is_recorded:
        listed = room.control.request("GET", "/api/schedules").expect(200)
        for schedule in listed["schedules"]:
            # The latest revision and the latest pause, which a repeat is too.
            del schedule["updated_at"], schedule["paused_at"]
        return stored, shown, listed
    runs = [(run.id, run.status) for run in stored.runs]
    return runs, stored.tasks, stored.instances, shown

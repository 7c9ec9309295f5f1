"""Lists and details of runs as the reference server answered them, asked again of a
live one: every member of every answer is compared."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import orjson

from tests.golden.deviations import Deviation, normal
from tests.golden.replaying import Exchange, Replay
from tests.golden.shapes import differences
from tests.support.json_http import JsonHttp
from tests.support.processes import TEST_TOKEN, StartServer

RECORDED = Path(__file__).parent / "fixtures" / "workflows_read.json"
NAMESPACE = "wo-33707"
ANOTHER_NAMESPACE = "wf-33707"
FROM_ELSEWHERE = {"describe_other_namespace"}
# Whether workers fit a run's compatibility marker.
FLEET = r"compatibility(_status|_supported_in_fleet|_fleet_reason)?"

DEVIATIONS = (
    Deviation(rf"(workflows\[\]\.)?{FLEET}", "control-plane §5.1 [mid]", "extra"),
    Deviation(rf"runs\[\]\.{FLEET}", "control-plane §5.4 [mid]", "extra"),
    Deviation(r"runs\[\]\.is_current_run", "client-compatibility §10", "extra"),
    Deviation(
        r"(workflows\[\]\.)?(search_attributes|memo)", "decision 3: an empty map is {}"
    ),
    Deviation(
        r"(control_plane\.)?next_page_token",
        "an opaque position in the list, not an offset",
        r"'\w+==' there, '[\w-]+' here",
    ),
    Deviation(r"actions\.can_update", "open runs take updates", "False there, True.*"),
)
# The reference took every query for text to search for (control-plane §5.1.1 [mid]).
OTHER_ROWS = "list_query_expression"


def exchanges() -> list[Exchange]:
    found: list[dict[str, Any]] = orjson.loads(RECORDED.read_bytes())
    return [Exchange(number=1, **item) for item in found]


def test_reads_have_the_recorded_answers(
    sqlite_url: str, start_server: StartServer
) -> None:
    server = start_server(sqlite_url, {"DW_WORKER_PROTOCOL_VERSION": "1.0"})
    replay = Replay(JsonHttp(server.base_url), NAMESPACE, TEST_TOKEN)
    replay.send("control", "POST", "/api/namespaces", {"name": NAMESPACE})
    for number in range(5):
        start = {
            "workflow_id": f"l{number}-33707",
            "workflow_type": "g.a" if number % 2 else "g.b",
            "task_queue": "gq",
            "business_key": f"bk{number}",
            "input": [],
        }
        status, _ = replay.send("control", "POST", "/api/workflows", start)
        assert status == 201
    elsewhere = Replay(JsonHttp(server.base_url), ANOTHER_NAMESPACE, TEST_TOKEN)
    replay.send("control", "POST", "/api/namespaces", {"name": ANOTHER_NAMESPACE})
    told = []
    used: set[str] = set()
    for exchange in exchanges():
        asked = elsewhere if exchange.name in FROM_ELSEWHERE else replay
        status, body = asked.answer(with_our_token(exchange, replay))
        assert status == exchange.status, (exchange.name, body)
        if exchange.name == OTHER_ROWS:
            assert [row["workflow_type"] for row in body["workflows"]] == ["g.a"] * 2
            continue
        for difference in differences(exchange.answer, body):
            covering = [d.place for d in DEVIATIONS if d.covers(difference)]
            used.update(covering)
            if not covering:
                told.append(
                    f"{exchange.name}: {normal(difference.place)}: {difference}"
                )
        learn_token(exchange, body, replay)
    assert not told, "\n".join(told)
    assert used == {deviation.place for deviation in DEVIATIONS}


def learn_token(exchange: Exchange, body: Any, replay: Replay) -> None:
    theirs = exchange.answer.get("next_page_token")
    if theirs:
        replay.ids[theirs] = body["next_page_token"]


def with_our_token(exchange: Exchange, replay: Replay) -> Exchange:
    """The page token in the path is the one that this server gave out."""
    path = exchange.path
    for theirs, ours in replay.ids.items():
        path = path.replace(f"next_page_token={theirs}", f"next_page_token={ours}")
    return Exchange(
        exchange.name,
        exchange.number,
        exchange.plane,
        exchange.method,
        path,
        exchange.body,
        exchange.status,
        exchange.answer,
    )

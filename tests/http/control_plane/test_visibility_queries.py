"""Visibility queries on a live server: what runs were started with finds them."""

from __future__ import annotations

from typing import Any
from urllib.parse import urlencode

import pytest

from tests.support.json_http import JsonHttp, operator
from tests.support.processes import TEST_TOKEN, CommonServers, new_namespace
from tests.support.server_process import ServerProcess

ATTRIBUTES = {
    "Region": "keyword",
    "Amount": "int",
    "Rate": "double",
    "IsPaid": "bool",
    "DueAt": "datetime",
    "Tags": "keyword_list",
    "Note": "text",
}
RUNS: dict[str, dict[str, Any]] = {
    "w-0": {"Region": "eu", "Amount": 5, "Rate": 0.5, "IsPaid": True, "Tags": ["a"]},
    "w-1": {"Region": "us", "Amount": 10, "Tags": ["a", "b"], "Note": "two words"},
    "w-2": {"DueAt": "2026-04-13T14:00:00+02:00", "IsPaid": False, "Undefined": "x"},
    "w-3": {},
}
QUERIES = {
    "Region = 'eu'": ["w-0"],
    "Region != 'eu'": ["w-1"],
    "Region IN ('eu', 'us')": ["w-1", "w-0"],
    "NOT Region = 'us' AND Amount < 6": ["w-0"],
    "Amount >= 5": ["w-1", "w-0"],
    "Amount > 5 AND Tags = 'b' AND Status = 'Running'": ["w-1"],
    "Amount > 5 AND Status = 'Completed'": [],
    "Rate = 0.5": ["w-0"],
    "IsPaid = true": ["w-0"],
    "NOT IsPaid": ["w-2"],
    "DueAt = 2026-04-13T12:00:00Z": ["w-2"],
    "Note = 'two words'": ["w-1"],
    "Undefined = 'x'": [],
    "WorkflowId IN ('w-3', 'w-0')": ["w-3", "w-0"],
    "StartTime > 2020-01-01": ["w-3", "w-2", "w-1", "w-0"],
    "CloseTime > 2020-01-01": [],
    "TaskQueue = 'orders' AND WorkflowType = 'orders.Ship'": ["w-2", "w-0"],
    "Status = 'pending' AND NOT WorkflowType = 'orders.Ship'": ["w-3", "w-1"],
}


def found(http: JsonHttp, **query: object) -> list[str]:
    """Ids of all pages of one run each."""
    ids: list[str] = []
    token = ""
    while True:
        words = urlencode({**query, "page_size": 1, "next_page_token": token})
        page = http.request("GET", f"/api/workflows?{words}").expect(200)
        ids += [row["workflow_id"] for row in page["workflows"]]
        token = page["next_page_token"] or ""
        if not token:
            return ids


def test_runs_are_found_by_what_they_were_started_with(
    common_server: ServerProcess,
) -> None:
    namespace = new_namespace(common_server)
    http = operator(common_server.base_url, TEST_TOKEN, namespace=namespace)
    for name, value_type in ATTRIBUTES.items():
        definition = {"name": name, "type": value_type}
        http.request("POST", "/api/search-attributes", definition).expect(201)
    for number, (workflow_id, attributes) in enumerate(RUNS.items()):
        start = {
            "workflow_id": workflow_id,
            "workflow_type": "orders.Bill" if number % 2 else "orders.Ship",
            "task_queue": "orders",
            "search_attributes": attributes,
        }
        http.request("POST", "/api/workflows", start).expect(201)
    assert {query: found(http, query=query) for query in QUERIES} == QUERIES
    # A definition that goes takes its meaning along, not the values.
    http.request("DELETE", "/api/search-attributes/Region").expect(200)
    assert found(http, query="Region = 'eu'") == []
    text = http.request(
        "POST", "/api/search-attributes", {"name": "Region", "type": "text"}
    )
    text.expect(201)
    assert found(http, query="Region = 'eu'") == ["w-0"]


@pytest.mark.parametrize(
    ("query", "text"),
    [
        ("Status > 'running'", "[Status] only supports equality comparisons."),
        (
            "Status = 'a' OR Status = 'b'",
            "Visibility query predicates must use: Field = literal.",
        ),
    ],
)
def test_a_broken_query_is_refused_at_its_field(
    query: str, text: str, common_servers: CommonServers
) -> None:
    http = operator(common_servers.on("sqlite").base_url, TEST_TOKEN)
    answer = http.request("GET", f"/api/workflows?{urlencode({'query': query})}")
    body = answer.expect(422)
    assert body["reason"] == "validation_failed"
    assert body["errors"] == {"query": [text]}

"""Queries of an operator who sends plain JSON, answered by each SDK release.

What the clients of the releases see is in the scenarios.
"""

from __future__ import annotations

import uuid
from typing import Any

import pytest

from tests.sdk.matrix import Site
from tests.support.json_http import Answer
from tests.support.waiting import wait_until

pytestmark = pytest.mark.timeout(300)

TOTAL = 7
WAITING_SECONDS = 40


@pytest.fixture
def account(site: Site) -> str:
    """Id of a workflow that has taken an amount and waits for more."""
    workflow_id = f"asked-{uuid.uuid4().hex[:12]}"
    start = {
        "workflow_id": workflow_id,
        "workflow_type": "sdk.account",
        "task_queue": site.queue,
        "input": [],
    }
    site.ground.operator.request("POST", "/api/workflows", start).expect(201)
    wait_until(
        lambda: site.ground.count(workflow_id, "ConditionWaitOpened") == 1,
        deadline_seconds=WAITING_SECONDS,
    )
    added = post(site, workflow_id, "update/add", [TOTAL], wait_for="completed")
    assert added.expect(200)["result"] == TOTAL
    return workflow_id


def post(
    site: Site, workflow_id: str, command: str, arguments: list[Any], **more: Any
) -> Answer:
    path = f"/api/workflows/{workflow_id}/{command}"
    return site.ground.operator.request("POST", path, {"input": arguments, **more})


def test_plain_arguments_are_framed_for_the_worker(site: Site, account: str) -> None:
    body = post(site, account, "query/total", [2]).expect(200)
    assert body["result"] == 2 * TOTAL, site.worker.log_tail()
    assert body["result_envelope"]["codec"] == "avro"
    assert post(site, account, "query/total", []).expect(200)["result"] == TOTAL


def test_query_leaves_no_trace(site: Site, account: str) -> None:
    before = site.ground.events(account)
    post(site, account, "query/total", []).expect(200)
    assert site.ground.events(account) == before
    shown = site.ground.operator.request("GET", f"/api/workflows/{account}")
    assert shown.expect(200)["actions"]["can_query"] is True


@pytest.mark.parametrize(
    ("name", "status", "reason"),
    [("unheard-of", 404, "rejected_unknown_query"), ("fault", 409, "query_rejected")],
)
def test_refusal_of_the_worker_is_passed_on(
    site: Site, account: str, name: str, status: int, reason: str
) -> None:
    body = post(site, account, f"query/{name}", []).expect(status)
    assert body["reason"] == reason, site.worker.log_tail()

"""The run list: filters, and a page token that only this server can read."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dwserver.engine.run_conditions import (
    AttributeCondition,
    Condition,
    Operator,
    RunColumn,
    RunCondition,
)
from dwserver.engine.search_attributes import AttributeType
from dwserver.engine.words import StatusBucket
from dwserver.http.control_plane.list_cursor import cursor_token, read_cursor
from dwserver.http.control_plane.workflow_list import list_workflows
from dwserver.services.records import RunCursor, RunFilter
from tests.http.handler_stage import NAMESPACE, NOW, Stage
from tests.http.runs import RUN_ID, a_run, a_view, a_worker


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("status", "pending"),
        ("status", "Running"),
        ("page_size", "0"),
        ("page_size", "201"),
        ("page_size", "abc"),
        ("page_size", "1.5"),
        ("query", "a\0"),
    ],
)
async def test_a_wrong_word_is_refused(field: str, value: str) -> None:
    stage = Stage()
    answer = await stage.ask(list_workflows, query={field: value})
    assert (answer.status, list(answer.body["errors"])) == (422, [field])
    assert stage.called == []


@pytest.mark.parametrize(
    ("query", "run_filter", "limit"),
    [
        ({}, RunFilter(NAMESPACE), 50),
        ({"status": "", "query": " ", "page_size": ""}, RunFilter(NAMESPACE), 50),
        (
            {
                "workflow_type": "t",
                "status": "failed",
                "query": " a ",
                "page_size": "3",
            },
            RunFilter(NAMESPACE, "t", StatusBucket.FAILED, "a"),
            3,
        ),
    ],
)
async def test_filters_reach_the_service(
    query: dict[str, str], run_filter: RunFilter, limit: int
) -> None:
    stage = Stage({"workflows.find_runs": ([], False)})
    answer = await stage.ask(list_workflows, query=query)
    assert stage.calls[0].arguments == (run_filter,)
    assert stage.calls[0].options == {"after": None, "limit": limit}
    assert answer.body == {
        "workflows": [],
        "workflow_count": 0,
        "next_page_token": None,
    }


async def amounts_are_defined(_namespace: str) -> dict[str, str]:
    return {"Amount": "int"}


@pytest.mark.parametrize(
    ("text", "condition"),
    [
        (
            "Status = 'waiting'",
            RunCondition(RunColumn.STATUS, Operator.EQ, ("waiting",)),
        ),
        (
            "Amount >= 5",
            AttributeCondition("Amount", AttributeType.INT, Operator.GE, (5,)),
        ),
    ],
)
async def test_a_visibility_query_is_no_text_to_search_for(
    text: str, condition: Condition
) -> None:
    stage = Stage({"workflows.find_runs": ([], False)})
    stage.facts["search_attributes.known_types"] = amounts_are_defined
    query = {"query": text, "workflow_type": "t"}
    answer = await stage.ask(list_workflows, query=query)
    assert answer.status == 200
    expected = RunFilter(NAMESPACE, "t", conditions=(condition,))
    assert stage.calls[0].arguments == (expected,)


async def test_a_query_about_an_unknown_field_has_an_empty_page() -> None:
    stage = Stage()
    answer = await stage.ask(list_workflows, query={"query": "Nobody = 'x'"})
    assert (answer.status, answer.body["workflows"]) == (200, [])
    assert stage.called == []


async def test_a_query_that_breaks_a_rule_is_refused_at_its_field() -> None:
    stage = Stage()
    answer = await stage.ask(list_workflows, query={"query": "WorkflowId > 'x'"})
    text = "[WorkflowId] only supports equality comparisons."
    assert (answer.status, answer.body["errors"]) == (422, {"query": [text]})
    assert stage.called == []


async def test_the_token_of_a_page_leads_behind_its_last_row() -> None:
    views = [a_view(), a_view(a_run(id="01kzzz", started_at=5))]
    stage = Stage({"workflows.find_runs": (views, True)})
    answer = await stage.ask(list_workflows)
    token = answer.body["next_page_token"]
    assert answer.body["workflow_count"] == 2
    await stage.ask(list_workflows, query={"next_page_token": token})
    assert stage.calls[1].options["after"] == RunCursor(5, "01kzzz")


@pytest.mark.parametrize("token", ["", "!!", "Mg==", "eA", "MTp4IQ", "\u00e9", "MTo"])
async def test_a_token_that_is_not_ours_means_the_first_page(token: str) -> None:
    stage = Stage({"workflows.find_runs": ([], False)})
    answer = await stage.ask(list_workflows, query={"next_page_token": token})
    assert answer.status == 200
    assert stage.calls[0].options["after"] is None


@given(
    st.integers(min_value=0, max_value=10**18 - 1),
    st.text("0123456789abcdefghjkmnpqrstvwxyz", min_size=1, max_size=26),
)
def test_tokens_survive_the_query_string(started_at: int, run_id: str) -> None:
    token = cursor_token(RunCursor(started_at, run_id))
    assert not set(token) & set("+/=&%")
    assert read_cursor(token) == RunCursor(started_at, run_id)


# compatibility -----------------------------------------------------------------------


async def rows_of(run: Any, *workers: Any) -> tuple[dict[str, Any], Stage]:
    stage = Stage(
        {
            "workflows.find_runs": ([a_view(run)], False),
            "workers.find_all": list(workers),
        }
    )
    answer = await stage.ask(list_workflows)
    return answer.body["workflows"][0], stage


async def test_unmarked_runs_fit_any_worker_and_cost_no_look() -> None:
    row, stage = await rows_of(a_run())
    assert row["compatibility_status"] == "compatible"
    assert row["compatibility_supported_in_fleet"] is True
    assert row["compatibility_fleet_reason"] is None
    assert stage.called == ["workflows.find_runs"]


@pytest.mark.parametrize(
    ("worker", "is_fit"),
    [
        (a_worker(task_queue="gq", build_id="b1"), True),
        (a_worker(task_queue="gq", build_id="b2"), False),
        (a_worker(task_queue="other", build_id="b1"), False),
        (a_worker(task_queue="gq", build_id="b1", status="draining"), False),
        (a_worker(task_queue="gq", build_id=None), False),
    ],
)
async def test_marked_runs_need_an_active_worker_of_their_build(
    worker: Any, is_fit: bool
) -> None:
    row, _ = await rows_of(a_run(compatibility="b1"), worker)
    expected = "compatible" if is_fit else "no_compatible_worker"
    assert row["compatibility"] == "b1"
    assert row["compatibility_status"] == expected
    assert row["compatibility_supported_in_fleet"] is is_fit
    assert (row["compatibility_fleet_reason"] is None) is is_fit


async def test_a_row_tells_the_run() -> None:
    row, _ = await rows_of(a_run(started_at=NOW))
    assert row["run_id"] == RUN_ID
    assert row["started_at"] == "2026-04-13T12:00:00.000000Z"
    assert row["search_attributes"] == {}

"""History pages, the page without a size, and waiting for the next event."""

from __future__ import annotations

from typing import Any

import pytest

from dwserver.engine.words import RunStatus
from dwserver.http.control_plane.history import history
from dwserver.protocol.page_tokens import page_token
from dwserver.services.records import StoredEvent
from dwserver.services.workflows import HistorySlice, RunDetail
from tests.http.handler_stage import NAMESPACE, NOW, Stage
from tests.http.runs import RUN_ID, a_run, a_view

PARAMS = {"workflow_id": "order-42", "run_id": RUN_ID}


def event(
    sequence: int, event_type: str = "ActivityStarted", payload: bytes = b"{}"
) -> StoredEvent:
    return StoredEvent(
        id="e",
        sequence=sequence,
        event_type=event_type,
        payload=payload,
        recorded_at=NOW,
        has_plain=b"$dw.plain" in payload,
        task_id=None,
        command_id=None,
    )


def stored(*events: StoredEvent) -> Any:
    """The history service over these events."""

    def read(*names: str, after: int, limit: int) -> HistorySlice:
        assert names == (NAMESPACE, "order-42", RUN_ID)
        found = [each for each in events if each.sequence > after]
        return HistorySlice(tuple(found[:limit]), len(found) > limit)

    return read


async def asked(stage: Stage, **query: str) -> dict[str, Any]:
    answer = await stage.ask(history, params=PARAMS, query=query)
    assert answer.status == 200, answer.body
    assert answer.reply is not None
    assert answer.reply.projected == {
        key: answer.body[key] for key in ("workflow_id", "run_id", "next_page_token")
    }
    return answer.body


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("page_size", "0"),
        ("page_size", "1001"),
        ("page_size", "x"),
        ("wait_new_event", "maybe"),
        ("wait_new_event", "2"),
    ],
)
async def test_a_wrong_word_is_refused_before_the_run_is_looked_up(
    field: str, value: str
) -> None:
    stage = Stage()
    answer = await stage.ask(history, params=PARAMS, query={field: value})
    assert (answer.status, list(answer.body["errors"])) == (422, [field])
    assert stage.called == []


async def test_an_unknown_run_is_not_found() -> None:
    answer = await Stage({"workflows.history": None}).ask(history, params=PARAMS)
    assert (answer.status, answer.body["reason"]) == (404, "run_not_found")


async def test_pages_follow_each_other() -> None:
    stage = Stage({"workflows.history": stored(*map(event, range(1, 6)))})
    seen: list[int] = []
    token = ""
    while token is not None:
        body = await asked(stage, page_size="2", next_page_token=token)
        seen += [each["sequence"] for each in body["events"]]
        token = body["next_page_token"]
    assert seen == [1, 2, 3, 4, 5]


@pytest.mark.parametrize("token", ["!!", "eA==", ""])
async def test_a_token_that_is_not_ours_means_the_beginning(token: str) -> None:
    body = await asked(
        Stage({"workflows.history": stored(event(1))}), next_page_token=token
    )
    assert [each["sequence"] for each in body["events"]] == [1]


async def test_an_event_shows_unencoded_values_as_blobs() -> None:
    raw = b'{"output":{"$dw.plain":"[]"},"k":1}'
    done = event(1, "WorkflowCompleted", raw)
    body = await asked(Stage({"workflows.history": stored(done)}))
    assert body == {
        "workflow_id": "order-42",
        "run_id": RUN_ID,
        "next_page_token": None,
        "events": [
            {
                "sequence": 1,
                "event_type": "WorkflowCompleted",
                "timestamp": "2026-04-13T12:00:00.000000Z",
                "payload": {"output": "AARbXQI=", "k": 1},
            }
        ],
    }


# one page for old clients ------------------------------------------------------------

LONG = [event(sequence) for sequence in range(1, 1500)]
# Closing events, and the status that their runs then have.
ENDS = {
    "WorkflowCompleted": RunStatus.COMPLETED,
    "WorkflowContinuedAsNew": RunStatus.COMPLETED,
    "WorkflowFailed": RunStatus.FAILED,
    "WorkflowTimedOut": RunStatus.FAILED,
    "WorkflowCancelled": RunStatus.CANCELLED,
    "WorkflowTerminated": RunStatus.TERMINATED,
}


def long_run(status: RunStatus, end: str = "WorkflowCompleted") -> Stage:
    tail = [event(1500, end), event(1501, "StartRejected")]
    run = a_run(status=status, last_sequence=1501)
    return Stage(
        {
            "workflows.history": stored(*LONG, *tail),
            "workflows.describe": RunDetail(a_view(run), None, ()),
        }
    )


@pytest.mark.parametrize(("end", "status"), ENDS.items())
async def test_without_a_size_the_first_page_reaches_the_end_of_a_closed_run(
    end: str, status: RunStatus
) -> None:
    body = await asked(long_run(status, end))
    sequences = [each["sequence"] for each in body["events"]]
    assert sequences == [*range(1, 1001), 1500]
    assert body["next_page_token"] == page_token(1000)


@pytest.mark.parametrize(
    "query", [{"page_size": "1000"}, {"next_page_token": page_token(2)}]
)
async def test_clients_that_page_get_plain_pages(query: dict[str, str]) -> None:
    body = await asked(long_run(RunStatus.COMPLETED), **query)
    assert len(body["events"]) == 1000


async def test_an_open_run_has_no_end_to_show() -> None:
    body = await asked(long_run(RunStatus.WAITING))
    assert len(body["events"]) == 1000


async def test_a_short_history_costs_one_read() -> None:
    stage = Stage({"workflows.history": stored(event(1))})
    await asked(stage)
    assert stage.called == ["workflows.history"]


# waiting -----------------------------------------------------------------------------


@pytest.mark.parametrize("word", ["1", "true"])
async def test_a_follower_waits_for_the_next_event(word: str) -> None:
    events = [event(1)]
    stage = Stage({"workflows.history": lambda *n, **o: stored(*events)(*n, **o)})

    def arrive(run_id: str, **options: Any) -> None:
        assert run_id == RUN_ID
        assert (options["after"], options["seconds"]) == (1, 30)
        assert options["is_connected"]()
        events.append(event(2))

    stage.answers["workflows.wait_for_event"] = arrive
    body = await asked(stage, wait_new_event=word, next_page_token=page_token(1))
    assert [each["sequence"] for each in body["events"]] == [2]


@pytest.mark.parametrize(
    "query",
    [{"wait_new_event": "1"}, {"wait_new_event": "0", "next_page_token": "OQ=="}],
)
async def test_nobody_waits_without_need(query: dict[str, str]) -> None:
    stage = Stage({"workflows.history": stored(event(1))})
    await asked(stage, **query)
    assert stage.called == ["workflows.history"]

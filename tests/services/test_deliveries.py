"""Poll answers joined from what is remembered are those read from the database."""

from __future__ import annotations

import gzip
import zlib
from base64 import b64decode
from collections.abc import AsyncIterator
from typing import Any

import orjson
import pytest

from dwserver.engine.commands.activities import ScheduleActivity
from dwserver.engine.model import Payload, RetryPolicy, RunInput
from dwserver.engine.records import replace
from dwserver.engine.words import TaskKind
from dwserver.matching.pollers import Delivery
from dwserver.protocol.page_tokens import read_page_token
from dwserver.protocol.payloads.framing import Framing
from dwserver.services.deliveries import RESUME_FIELDS, HistoryRequest
from dwserver.store.api import Store
from tests.support.small_server import (
    ARGUMENTS,
    CHARGE,
    SmallServer,
    a_start_request,
    ref_of,
    small_server,
)
from tests.support.wrapper_payloads import wrapper_value

ALL = HistoryRequest(500)
PLAIN = Payload("json", '{"rush":true}')
VALUE_MAGIC = b"\xc3\x01"


@pytest.fixture
async def cold(sqlite_store: Store) -> AsyncIterator[SmallServer]:
    """Another process, which remembers nothing."""
    async with small_server(sqlite_store, first_id=10**9) as server:
        yield server


async def shown(
    server: SmallServer,
    delivery: Delivery,
    *,
    framing: Framing = Framing.WRAPPER,
    wanted: HistoryRequest = ALL,
) -> dict[str, Any]:
    deliveries = server.services.deliveries
    text = await deliveries.workflow_task(
        delivery.leased, framing=framing, wanted=wanted
    )
    task: dict[str, Any] = orjson.loads(text)
    return task


async def after_activity(server: SmallServer, result: Payload | None) -> Delivery:
    """The second workflow task of a run whose activity has completed."""
    from_activity = await server.with_activity()
    await server.complete_activity(from_activity, result)
    return await server.leased()


async def test_the_first_task(server: SmallServer) -> None:
    started = await server.start(input=_input(ARGUMENTS))
    delivery = await server.leased()
    task = await shown(server, delivery)
    assert task["workflow_id"] == "order-1"
    assert task["run_id"] == started.run.id
    assert task["arguments"] == {"codec": "avro", "blob": ARGUMENTS.data}
    assert task["workflow_task_attempt"] == 1
    assert task["run_status"] == "pending"
    assert task["lease_owner"] == "worker-1"
    assert task["total_history_events"] == task["last_history_sequence"] == 2
    assert task["next_history_page_token"] is None
    assert [event["event_type"] for event in task["history_events"]] == [
        "StartAccepted",
        "WorkflowStarted",
    ]
    # The workflow's clock.
    started_event = task["history_events"][1]
    assert started_event["payload"]["timestamp"] == started_event["recorded_at"]
    assert {name: task[name] for name in RESUME_FIELDS} == dict.fromkeys(RESUME_FIELDS)


async def test_the_task_that_a_result_caused(server: SmallServer) -> None:
    delivery = await after_activity(server, ARGUMENTS)
    task = await shown(server, delivery)
    assert task["workflow_wait_kind"] == "activity"
    assert task["resume_source_kind"] == "activity_execution"
    assert task["open_wait_id"] == f"activity:{task['activity_execution_id']}"
    assert task["workflow_sequence"] == 1
    assert task["workflow_event_type"] == "ActivityCompleted"
    assert task["run_status"] == "waiting"
    assert task["timer_id"] is None


@pytest.mark.parametrize("framing", Framing)
async def test_remembered_and_stored_history_are_the_same(
    server: SmallServer, cold: SmallServer, framing: Framing
) -> None:
    delivery = await after_activity(server, ARGUMENTS)
    hot = await shown(server, delivery, framing=framing)
    assert server.faults.calls["history"] == 0
    assert await shown(cold, delivery, framing=framing) == hot
    assert len(hot["history_events"]) == hot["total_history_events"] > 2


@pytest.mark.parametrize("framing", Framing)
async def test_values_that_came_unencoded_are_framed_for_the_reader(
    server: SmallServer, cold: SmallServer, framing: Framing
) -> None:
    await server.start(input=_input(PLAIN))
    command = ScheduleActivity(activity_type="orders.Charge", arguments=PLAIN)
    await server.complete(await server.leased(), [command])
    activity = await server.leased(TaskKind.ACTIVITY)
    await server.complete_activity(activity, PLAIN)
    delivery = await server.leased()
    task = await shown(server, delivery, framing=framing)
    assert await shown(cold, delivery, framing=framing) == task
    assert b"$dw.plain" not in orjson.dumps(task)
    blobs = [task["arguments"]["blob"], _result(task)]
    for blob in blobs:
        is_value = b64decode(blob).startswith(VALUE_MAGIC)
        assert is_value is (framing is Framing.VALUE)
    if framing is Framing.WRAPPER:
        assert [wrapper_value(blob) for blob in blobs] == [{"rush": True}] * 2
    text = await server.services.deliveries.activity_task(activity, framing=framing)
    assert orjson.loads(text)["arguments"] == task["arguments"]


async def test_pages_cover_the_snapshot_and_nothing_after_it(
    server: SmallServer, cold: SmallServer
) -> None:
    delivery = await after_activity(server, ARGUMENTS)
    whole = (await shown(server, delivery))["history_events"]
    # An event after the lease is not part of what was delivered.
    await server.services.workflows.start(a_start_request())
    for each in (server, cold):
        assert await _paged(each, delivery, size=2) == whole


async def test_who_knows_the_beginning_reads_the_rest(
    server: SmallServer, cold: SmallServer
) -> None:
    """Another process has gone on with a run that this one knew."""
    delivery = await after_activity(server, ARGUMENTS)
    whole = (await shown(server, delivery))["history_events"]
    run_id = delivery.leased.run.id
    known, hot = server.core.runs.hot.get(run_id), cold.core.runs.hot
    state = await cold.core.store.load_run(run_id)
    assert known is not None
    assert known.history is not None
    assert state is not None
    was = hot.loaded(replace(state, run=replace(state.run, last_sequence=2)))
    hot.remember_history(run_id, known.history.fragments[:2], after=0)
    hot.loaded(state, was=was)
    for size in (1, 2, 3):
        assert await _paged(cold, delivery, size=size) == whole
    cold.faults.calls.clear()
    for _ in range(2):
        assert (await shown(cold, delivery))["history_events"] == whole
    assert cold.faults.calls["history"] == 1, "then everything is known"


async def test_a_page_past_the_end_is_empty(server: SmallServer) -> None:
    await server.start()
    ref = ref_of(await server.leased())
    page = await server.services.workflow_tasks.history(
        ref, after=2, framing=Framing.WRAPPER, wanted=ALL
    )
    assert isinstance(page, bytes)
    body = orjson.loads(b"{%b}" % page)
    assert body["history_events"] == []
    assert body["next_history_page_token"] is None


@pytest.mark.parametrize(
    ("accepted", "used"),
    [
        ("gzip", "gzip"),
        ("deflate, GZIP", "gzip"),
        ("br;q=1, deflate", "deflate"),
        ("br", None),
        (None, None),
    ],
)
async def test_long_pages_are_compressed_when_asked(
    server: SmallServer, accepted: str | None, used: str | None
) -> None:
    await server.start()
    await server.complete(await server.leased(), [CHARGE] * 50)
    plain = await _history(server, HistoryRequest(500))
    packed = await _history(server, HistoryRequest(500, accepted))
    assert packed.get("history_events_encoding") == used
    if used is None:
        assert packed == plain
        return
    raw = b64decode(packed["history_events_compressed"])
    # Deflate is a raw stream.
    text = gzip.decompress(raw) if used == "gzip" else zlib.decompress(raw, -15)
    assert packed["history_events"] == []
    assert orjson.loads(text) == plain["history_events"]


async def test_short_pages_are_never_compressed(server: SmallServer) -> None:
    await server.start()
    await server.complete(await server.leased(), [CHARGE] * 50)
    page = await _history(server, HistoryRequest(49, "gzip"))
    assert len(page["history_events"]) == 49
    assert "history_events_compressed" not in page


async def test_an_activity_task_leaves_out_what_is_not_set(
    server: SmallServer, cold: SmallServer
) -> None:
    delivery = await server.with_activity()
    text = await server.services.deliveries.activity_task(
        delivery, framing=Framing.WRAPPER
    )
    task = orjson.loads(text)
    assert task["arguments"] == {"codec": "avro", "blob": ARGUMENTS.data}
    assert task["idempotency_key"] == task["activity_execution_id"]
    assert task["attempt_number"] == 1
    assert not {"retry_policy", "deadlines"} & set(task)
    assert None not in task.values()
    # Without the arguments at hand they are read.
    bare = Delivery(delivery.leased)
    assert (
        await cold.services.deliveries.activity_task(bare, framing=Framing.WRAPPER)
        == text
    )


async def test_an_activity_task_shows_policy_and_deadlines(
    server: SmallServer,
) -> None:
    policy = RetryPolicy(
        max_attempts=3,
        backoff_seconds=(1, 5),
        start_to_close_timeout=30,
        heartbeat_timeout=10,
    )
    await server.start()
    command = ScheduleActivity(activity_type="orders.Charge", retry_policy=policy)
    await server.complete(await server.leased(), [command])
    delivery = await server.leased(TaskKind.ACTIVITY)
    text = await server.services.deliveries.activity_task(
        delivery, framing=Framing.VALUE
    )
    task = orjson.loads(text)
    assert "arguments" not in task
    assert task["retry_policy"]["snapshot_version"] == 1
    assert task["retry_policy"]["max_attempts"] == 3
    assert set(task["deadlines"]) == {"start_to_close", "heartbeat"}
    assert task["deadlines"]["heartbeat"].endswith("+00:00")


async def test_a_remembered_history_follows_held_results(
    server: SmallServer, cold: SmallServer
) -> None:
    """The second of two parallel activities ends first: its event waits."""
    await server.start()
    await server.complete(await server.leased(), [CHARGE, CHARGE])
    first = await server.leased(TaskKind.ACTIVITY)
    second = await server.leased(TaskKind.ACTIVITY)
    await server.complete_activity(second, ARGUMENTS)
    server.clock.advance(seconds=1)
    await server.complete_activity(first, ARGUMENTS)
    delivery = await server.leased()
    hot = await shown(server, delivery)
    assert server.faults.calls["history"] == 0
    assert await shown(cold, delivery) == hot
    completed = [
        event["payload"]["activity_execution_id"]
        for event in hot["history_events"]
        if event["event_type"] == "ActivityCompleted"
    ]
    assert completed == [
        each.leased.activity.id for each in (first, second) if each.leased.activity
    ]


def _input(arguments: Payload) -> RunInput:
    return RunInput(arguments=arguments)


def _result(task: dict[str, Any]) -> str:
    """The blob of the only activity result."""
    [event] = [
        e for e in task["history_events"] if e["event_type"] == "ActivityCompleted"
    ]
    assert event["payload"]["result"] == event["payload"]["output"]
    return str(event["payload"]["result"])


async def _paged(server: SmallServer, delivery: Delivery, *, size: int) -> list[Any]:
    """All events of the lease, in pages of ``size``."""
    first = await shown(server, delivery, wanted=HistoryRequest(size))
    events, token = first["history_events"], first["next_history_page_token"]
    while token is not None:
        assert len(events) % size == 0
        after = read_page_token(token)
        assert after is not None
        page = await server.services.workflow_tasks.history(
            ref_of(delivery),
            after=after,
            framing=Framing.WRAPPER,
            wanted=HistoryRequest(size),
        )
        assert isinstance(page, bytes), page
        body = orjson.loads(b"{%b}" % page)
        assert body["total_history_events"] == first["total_history_events"]
        events += body["history_events"]
        token = body["next_history_page_token"]
    return events


async def _history(server: SmallServer, wanted: HistoryRequest) -> dict[str, Any]:
    """A page of the only run's history, which has more than fifty events."""
    [view] = await server.services.workflows.runs("default", "order-1")
    text = await server.services.deliveries.history_page(
        view.run.id,
        after=0,
        upto=view.run.last_sequence,
        framing=Framing.WRAPPER,
        wanted=wanted,
    )
    page: dict[str, Any] = orjson.loads(b"{%b}" % text)
    return page

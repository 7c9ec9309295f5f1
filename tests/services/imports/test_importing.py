"""What an import does, and what it refuses (``spec/history-bundles.md`` §5)."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import pytest
from structlog.testing import capture_logs

from dwserver.engine.imports.eligibility import Rule
from dwserver.engine.words import TaskKind
from dwserver.protocol.history_bundles.integrity import SigningKey
from dwserver.services.history_imports.reports import ImportStatus
from dwserver.store.api import StoreError, StoreUnavailable
from dwserver.store.opening import open_store
from tests.services.imports.moving import accepted, embedded, imported, refused
from tests.services.imports.stories import KID
from tests.support.builders import a_namespace
from tests.support.embedded_bundles import (
    RUN_ID,
    a_bundle,
    an_event,
    changed,
    sealed,
)
from tests.support.small_server import (
    CHARGE,
    NAMESPACE,
    ONE_MINUTE,
    SECOND,
    SmallServer,
    a_poll,
    small_server,
)

KEY = SigningKey("a key that signs", "k-1")


async def is_empty(server: SmallServer, run_id: str = RUN_ID) -> bool:
    """Nothing is there, not even the workflow id."""
    store = server.faults.real
    return (
        await store.find_run_place(run_id) is None
        and await store.find_instance(NAMESPACE, "order-1") is None
        and not await store.history(run_id, after=0, upto=None, limit=10)
    )


async def test_the_log_tells_what_came_of_an_import(taker: SmallServer) -> None:
    leased = changed(a_bundle(), "tasks", 0, status="leased")
    with capture_logs() as lines:
        await imported(taker, leased, signing_key="a secret")
        report = await accepted(taker, a_bundle())
        await imported(taker, a_bundle())
    told = [line for line in lines if line["event"] == "import_answered"]
    assert [(line["status"], line["refused_by"]) for line in told] == [
        ("rejected", ["tasks.leased_task_present"]),
        ("imported", []),
        ("already_imported", []),
    ]
    assert [line["import_id"] for line in told[1:]] == [report["import_id"]] * 2
    assert {line["run_id"] for line in told} == {RUN_ID}
    assert "a secret" not in str(lines)


async def test_the_report_tells_what_was_written(taker: SmallServer) -> None:
    memo = {"memo": {"note": "m"}, "search_attributes": {"region": "eu", "size": 7}}
    report = await accepted(taker, a_bundle(workflow=memo))
    assert report["rows"] == {
        "workflow_instances": 1,
        "workflow_runs": 1,
        "workflow_history_events": 2,
        "workflow_commands": 1,
        "workflow_signal_records": 0,
        "workflow_updates": 0,
        "workflow_tasks": 1,
        "activity_executions": 0,
        "activity_attempts": 0,
        "workflow_run_timers": 0,
        "workflow_failures": 0,
        "workflow_links": 0,
        "workflow_memos": 1,
        "workflow_search_attributes": 2,
        "workflow_run_summaries": 1,
    }
    assert report["workflow"] == {
        "instance_id": "order-1",
        "run_id": RUN_ID,
        "run_number": 1,
        "workflow_type": "orders.Ship",
        "namespace": NAMESPACE,
        "status": "pending",
        "is_current_run": True,
        "history_complete": False,
        "dedupe_key": a_bundle()["dedupe_key"],
    }
    assert report["eligibility"] == {"eligible": True, "errors": [], "warnings": []}
    assert report["integrity"]["status"] == "ok"
    view = await taker.faults.real.find_run_view(NAMESPACE, RUN_ID)
    assert view is not None
    assert view.imported is not None
    assert view.imported.import_id == report["import_id"]
    assert (dict(view.input.memo), dict(view.input.search_attributes)) == (
        memo["memo"],
        memo["search_attributes"],
    )


async def test_a_ready_task_goes_to_a_poll_that_waits(target: SmallServer) -> None:
    waiting = asyncio.create_task(target.poll(a_poll(wait_seconds=60.0)))
    await asyncio.sleep(0)
    await accepted(target, a_bundle())
    delivery = await waiting
    assert delivery is not None
    assert delivery.leased.task.run_id == RUN_ID


async def test_the_same_bundle_again_is_there_already(target: SmallServer) -> None:
    first = await accepted(target, a_bundle())
    for is_dry_run in (False, True):
        again = await imported(
            target, a_bundle(), import_id="other", is_dry_run=is_dry_run
        )
        assert again.status is ImportStatus.ALREADY_IMPORTED
        assert again.report["existing_import_id"] == first["import_id"]
        assert again.report["dry_run"] is is_dry_run
        assert "import_id" not in again.report


async def test_a_dry_run_writes_nothing(taker: SmallServer) -> None:
    done = await imported(taker, a_bundle(), is_dry_run=True)
    assert done.status is ImportStatus.DRY_RUN
    assert done.report["rows"]["workflow_history_events"] == 2
    assert "import_id" not in done.report
    assert await is_empty(taker)


async def test_parallel_imports_of_one_bundle_import_it_once(
    store_url: str, target: SmallServer
) -> None:
    if store_url.startswith("sqlite"):
        done = await asyncio.gather(*(imported(target, a_bundle()) for _ in range(4)))
    else:
        store = open_store(store_url)
        await store.open()
        async with small_server(store, first_id=10**12) as other:
            servers = (target, other) * 3
            done = await asyncio.gather(
                *(imported(server, a_bundle()) for server in servers)
            )
        await store.close()
    statuses = [each.status for each in done]
    assert statuses.count(ImportStatus.IMPORTED) == 1
    assert set(statuses[1:]) <= {ImportStatus.IMPORTED, ImportStatus.ALREADY_IMPORTED}
    assert len(await target.faults.real.runs_of_instance(NAMESPACE, "order-1")) == 1


@pytest.mark.parametrize(
    "error", [StoreError("secret text"), StoreUnavailable("secret text")]
)
async def test_a_write_that_fails_leaves_nothing(
    error: StoreError, target: SmallServer
) -> None:
    target.faults.fail_next("commit", error)
    done = await imported(target, a_bundle())
    assert done.status is ImportStatus.REJECTED
    [found] = done.report["eligibility"]["errors"]
    assert found["rule"] == Rule.WRITE_FAILED
    assert "secret" not in str(done.report)
    assert await is_empty(target)
    await accepted(target, a_bundle())


async def test_rows_that_the_database_refuses_leave_nothing(
    target: SmallServer,
) -> None:
    await accepted(target, a_bundle("order-0", run_id="run-0"))
    bundle = changed(a_bundle(), "tasks", 0, id="run-0-task")
    assert await refused(target, bundle) == [Rule.WRITE_FAILED]
    assert await is_empty(target)


def leased(bundle: dict[str, Any]) -> dict[str, Any]:
    return changed(bundle, "tasks", 0, status="leased", lease_owner="w")


def with_attempt(bundle: dict[str, Any]) -> dict[str, Any]:
    return sealed(
        {**bundle, "activities": [{"attempts": [{"id": "a", "status": "running"}]}]}
    )


def redacted(bundle: dict[str, Any]) -> dict[str, Any]:
    redaction = {"applied": True, "policy": "p", "paths": ["payloads.arguments.data"]}
    return sealed({**bundle, "redaction": redaction})


def of_unknown_event(bundle: dict[str, Any]) -> dict[str, Any]:
    return changed(bundle, "history_events", 1, type="SomethingNew")


def of_another_schema(bundle: dict[str, Any]) -> dict[str, Any]:
    return sealed({**bundle, "schema": "other"})


def of_another_version(bundle: dict[str, Any]) -> dict[str, Any]:
    return sealed({**bundle, "schema_version": 2})


def tampered(bundle: dict[str, Any]) -> dict[str, Any]:
    return {**bundle, "dedupe_key": "other"}


def of_a_server(bundle: dict[str, Any]) -> dict[str, Any]:
    workflow = {**bundle["workflow"], "source_runtime": "standalone_server"}
    return sealed({**bundle, "workflow": workflow})


def of_another_codec(bundle: dict[str, Any]) -> dict[str, Any]:
    return changed(bundle, "commands", 0, payload_codec="workflow-serializer-y")


def with_an_open_step(bundle: dict[str, Any]) -> dict[str, Any]:
    told = {"timer_id": "t", "sequence": 1}
    events = [*bundle["history_events"], an_event(RUN_ID, 3, "TimerScheduled", told)]
    return sealed({**bundle, "history_events": events})


def with_an_impossible_time(bundle: dict[str, Any]) -> dict[str, Any]:
    return changed(bundle, "tasks", 0, available_at="soon")


def with_a_null_character(bundle: dict[str, Any]) -> dict[str, Any]:
    return changed(bundle, "tasks", 0, id="a\0b")


def with_a_key_of_ours(bundle: dict[str, Any]) -> dict[str, Any]:
    workflow = {**bundle["workflow"], "memo": {"m": {"$dw.plain": "x"}}}
    return sealed({**bundle, "workflow": workflow})


@pytest.mark.parametrize(
    ("change", "rules"),
    [
        (leased, [Rule.LEASED_TASK_PRESENT]),
        (with_attempt, [Rule.RUNNING_ATTEMPT_PRESENT]),
        (redacted, [Rule.REDACTED_PAYLOADS]),
        (of_unknown_event, [Rule.EVENT_TYPE_UNSUPPORTED]),
        (of_another_schema, [Rule.INTEGRITY_FAILED]),
        (of_another_version, [Rule.INTEGRITY_FAILED]),
        (tampered, [Rule.INTEGRITY_FAILED]),
        (of_a_server, [Rule.SOURCE_RUNTIME_UNSUPPORTED]),
        (of_another_codec, [Rule.CODEC_UNSUPPORTED]),
        (with_an_open_step, [Rule.ROW_INVALID]),
        (with_an_impossible_time, [Rule.ROW_INVALID]),
        (with_a_null_character, [Rule.ROW_INVALID]),
        (with_a_key_of_ours, [Rule.ROW_INVALID]),
    ],
)
async def test_a_bundle_is_refused(
    change: Callable[[dict[str, Any]], dict[str, Any]],
    rules: list[Rule],
    taker: SmallServer,
) -> None:
    assert await refused(taker, change(a_bundle())) == rules
    assert await is_empty(taker)


async def test_signatures(taker: SmallServer) -> None:
    signed = sealed(a_bundle(), KEY)
    assert await refused(taker, a_bundle(), requires_signature=True) == [
        Rule.SIGNATURE_REQUIRED
    ]
    assert await refused(taker, signed, signing_key="another") == [
        Rule.INTEGRITY_FAILED
    ]
    # Nobody can tell without the key.
    assert await refused(taker, signed, requires_signature=True) == [
        Rule.SIGNATURE_REQUIRED
    ]
    done = await imported(
        taker, signed, signing_key=KEY.secret, requires_signature=True
    )
    assert done.status is ImportStatus.IMPORTED
    assert done.report["integrity"]["integrity"]["signature_verified"] is True


async def test_a_run_of_the_same_id_stays_what_it_is(target: SmallServer) -> None:
    await accepted(target, a_bundle())
    other = sealed({**a_bundle(), "dedupe_key": "another export"})
    assert await refused(target, other) == [Rule.RUN_ID_CONFLICT]
    await target.faults.real.create_namespace(a_namespace("second"))
    assert await refused(target, a_bundle(), namespace="second") == [
        Rule.RUN_ID_CONFLICT
    ]


async def test_workflow_ids_of_other_namespaces_are_not_in_the_way(
    target: SmallServer,
) -> None:
    await target.faults.real.create_namespace(a_namespace("second"))
    await target.start()
    done = await imported(target, a_bundle(), namespace="second")
    assert done.status is ImportStatus.IMPORTED
    assert await refused(target, a_bundle(run_id="other")) == [Rule.OPEN_RUN_PRESENT]


async def test_an_earlier_run_joins_the_one_that_is_current(
    target: SmallServer,
) -> None:
    await accepted(target, a_bundle(workflow={"run_number": 2}))
    closed = {
        "status": "completed",
        "closed_at": a_bundle()["exported_at"],
        "is_current_run": False,
    }
    earlier = a_bundle(
        run_id="earlier", workflow=closed, history_complete=True, tasks=[]
    )
    report = await accepted(target, earlier)
    assert report["rows"]["workflow_instances"] == 0
    again = sealed({**earlier, "workflow": {**earlier["workflow"], "run_id": "third"}})
    assert await refused(target, again) == [Rule.RUN_NUMBER_CONFLICT]
    instance = await target.faults.real.find_instance(NAMESPACE, "order-1")
    assert instance is not None
    assert (instance.current_run_id, instance.run_count) == (RUN_ID, 2)
    views = await target.faults.real.runs_of_instance(NAMESPACE, "order-1")
    assert [view.run.run_number for view in views] == [1, 2]


async def test_an_outcome_that_no_event_tells_is_refused(
    source: SmallServer, taker: SmallServer
) -> None:
    started = await source.start()
    await source.complete(await source.leased(), [KID, CHARGE])
    # Held back until the child before it has ended.
    await source.complete_activity(await source.leased(TaskKind.ACTIVITY))
    bundle = await embedded(source, started.run)
    assert await refused(taker, bundle) == [Rule.OUTCOME_NOT_IN_HISTORY]


async def test_a_run_without_tasks_gets_those_that_it_needs(
    taker: SmallServer,
) -> None:
    await accepted(taker, a_bundle(tasks=[]))
    delivery = await taker.leased()
    assert delivery.leased.task.run_id == RUN_ID


async def test_an_overdue_timer_fires_at_once(
    source: SmallServer, target: SmallServer
) -> None:
    started = await source.start()
    await source.complete(await source.leased(), [ONE_MINUTE])
    bundle = await embedded(source, started.run)
    target.clock.advance(microseconds=61 * SECOND)
    await accepted(target, bundle)
    await target.core.timers.fire_due()
    assert (await target.event_types(started.run.id))[-1] == "TimerFired"
    assert (await target.leased()).leased.task.run_id == started.run.id


def of_the_embedded_engine() -> dict[str, Any]:
    """Its timers have tasks, its events may name none, and more than one workflow task
    may be open."""
    bundle = a_bundle(workflow={"status": "waiting", "last_history_sequence": 4})
    at = bundle["workflow"]["started_at"]
    timers = [
        {
            "id": f"timer-{step}",
            "sequence": step,
            "status": "pending",
            "delay_seconds": 60,
            "fire_at": at,
            "created_at": at,
            "timer_kind": None,
        }
        for step in (1, 2)
    ]
    scheduled = [
        an_event(
            RUN_ID,
            2 + timer["sequence"],
            "TimerScheduled",
            {"timer_id": timer["id"], "sequence": timer["sequence"]},
        )
        for timer in timers
    ]
    task = bundle["tasks"][0]
    tasks = [
        {**task, "id": "of-timer", "type": "timer", "payload": {"timer_id": "timer-1"}},
        {**task, "id": "of-update", "payload": {"workflow_update_id": "u"}},
        {**task, "id": "of-workflow"},
    ]
    return sealed(
        {
            **bundle,
            "history_events": [*bundle["history_events"], *scheduled],
            "timers": timers,
            "tasks": tasks,
        }
    )


async def test_habits_of_the_embedded_engine(taker: SmallServer) -> None:
    await accepted(taker, of_the_embedded_engine())
    state = await taker.state(RUN_ID)
    assert list(state.tasks) == ["of-workflow"]
    assert state.timers[1].task_id == "of-timer"
    # Both were asked for at the same moment.
    assert (state.run.batch_first, state.run.batch_size, state.run.last_step) == (
        1,
        2,
        2,
    )
    assert [timer.batch for timer in state.timers.values()] == [1, 1]
    await taker.core.timers.fire_due()
    assert (await taker.event_types(RUN_ID))[-2:] == ["TimerFired", "TimerFired"]


async def test_messages_of_one_command_are_refused(taker: SmallServer) -> None:
    bundle = a_bundle()
    signal = {
        "id": "s1",
        "command_id": bundle["commands"][0]["id"],
        "name": "go",
        "status": "applied",
        "received_at": bundle["exported_at"],
        "payload_codec": "avro",
        "arguments": "AAAC",
    }
    doubled = sealed({**bundle, "signals": [signal, {**signal, "id": "s2"}]})
    done = await imported(taker, doubled)
    rules = [error["rule"] for error in done.report["eligibility"]["errors"]]
    # The manifest of the bundle may be doubted as well; it is refused for its rows.
    assert rules == [Rule.ROW_INVALID]

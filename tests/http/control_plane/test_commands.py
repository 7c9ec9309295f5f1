"""Handlers of operator commands: checks in their order, and what the services get."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from dwserver.engine.lifecycle.archive import ArchiveRequest
from dwserver.engine.lifecycle.close import CloseRequest
from dwserver.engine.lifecycle.start import DuplicatePolicy, Start, Started
from dwserver.engine.model import Command, Instance, Payload, Update
from dwserver.engine.outcome import Rejection
from dwserver.engine.words import (
    CommandRejection,
    CommandStatus,
    CommandType,
    UpdateStatus,
)
from dwserver.http.control_plane.workflow_care import archive, repair
from dwserver.http.control_plane.workflow_close import cancel, terminate
from dwserver.http.control_plane.workflow_signal_with_start import signal_with_start
from dwserver.http.control_plane.workflow_signals import signal
from dwserver.http.control_plane.workflow_updates import update
from dwserver.protocol.payloads.framing import Framing
from dwserver.services.command_targets import REQUEST_ID_CONFLICT, Target
from dwserver.services.messages import Commanded, Message, Updated
from dwserver.services.operator_commands import HISTORICAL_RUN, INSTANCE_NOT_FOUND
from dwserver.services.signal_with_start import SignalledStart
from dwserver.services.workflows import RunDetail
from tests.http.handler_stage import LIMITS, NAMESPACE, NOW, Answer, Stage
from tests.http.runs import RUN_ID, a_run, a_view

INSTANCE = Instance(
    namespace=NAMESPACE,
    workflow_id="order-42",
    workflow_type="orders.process",
    current_run_id=RUN_ID,
    run_count=1,
    created_at=NOW,
)
TARGET = Target(instance=INSTANCE)
PARAMS = {"workflow_id": "order-42", "signal_name": "go", "update_name": "go"}
FOR_RUN = {**PARAMS, "run_id": RUN_ID}
FINDS = "commands.find_target"


def a_command(command_type: CommandType, **fields: Any) -> Command:
    values: dict[str, Any] = {
        "id": "01k0000000000000000command",
        "namespace": NAMESPACE,
        "workflow_id": "order-42",
        "run_id": RUN_ID,
        "sequence": 2,
        "command_type": command_type,
        "status": CommandStatus.ACCEPTED,
        "outcome": "",
        "created_at": NOW,
        **fields,
    }
    return Command(**values)


def a_rejected(command_type: CommandType, reason: CommandRejection) -> Command:
    return a_command(
        command_type,
        status=CommandStatus.REJECTED,
        outcome=reason.outcome,
        rejection_reason=reason,
        target_name="go",
    )


SIGNALLED = Commanded(
    command=a_command(CommandType.SIGNAL, outcome="signal_received", target_name="go"),
    run=a_run(),
)
UPDATE = Update(
    id="01k00000000000000000update",
    run_id=RUN_ID,
    command_id="c",
    sequence=2,
    name="go",
    status=UpdateStatus.ACCEPTED,
    accepted_at=NOW,
)
UPDATED = Updated(
    command=a_command(CommandType.UPDATE, target_name="go"), run=a_run(), update=UPDATE
)
SIGNAL_STAGE = {FINDS: TARGET, "commands.signal": SIGNALLED}
UPDATE_STAGE = {FINDS: TARGET, "commands.update": UPDATED}
HANDLERS = (signal, update, cancel, terminate, repair, archive)


# order of checks ---------------------------------------------------------------------


@pytest.mark.parametrize("handler", HANDLERS)
async def test_an_unknown_workflow_comes_before_the_fields(handler: Any) -> None:
    stage = Stage({FINDS: INSTANCE_NOT_FOUND})
    answer = await stage.ask(handler, params=PARAMS, body={"request_id": 5})
    assert (answer.status, answer.body["reason"]) == (404, "instance_not_found")
    assert answer.body["workflow_id"] == "order-42"
    assert stage.calls[0].arguments == (NAMESPACE, "order-42", None)


@pytest.mark.parametrize("handler", HANDLERS)
async def test_only_the_current_run_can_be_named(handler: Any) -> None:
    stage = Stage({FINDS: HISTORICAL_RUN})
    answer = await stage.ask(handler, params=FOR_RUN, body={"request_id": 5})
    assert answer.status == 409
    assert answer.body["reason"] == "historical_run_command_rejected"
    assert answer.body["target_scope"] == "run"
    assert stage.calls[0].arguments == (NAMESPACE, "order-42", RUN_ID)


@pytest.mark.parametrize(("handler", "kind"), [(signal, "signal"), (update, "update")])
@pytest.mark.parametrize("name", ["", "  ", "a\nb", "a\x7fb", "ä" * 129])
async def test_the_name_comes_before_the_workflow(
    handler: Any, kind: str, name: str
) -> None:
    stage = Stage()
    params = {**PARAMS, f"{kind}_name": name}
    answer = await stage.ask(handler, params=params)
    assert answer.status == 422
    assert list(answer.body["errors"]) == [f"{kind}_name"]
    stage = Stage({FINDS: HISTORICAL_RUN})
    answer = await stage.ask(handler, params={**params, "run_id": "older"})
    assert answer.status == 409


@pytest.mark.parametrize(
    ("handler", "body", "field"),
    [
        (signal, {"input": "x"}, "input"),
        (signal, {"input": {"codec": "avro", "blob": "AAhudWxsAg=="}}, "input.blob"),
        (signal, {"request_id": "r" * 256}, "request_id"),
        (signal, {"request_id": 5}, "request_id"),
        (update, {"input": {"codec": "zip", "blob": ""}}, "input.codec"),
        (update, {"wait_for": "forever"}, "wait_for"),
        (update, {"wait_timeout_seconds": 0}, "wait_timeout_seconds"),
        (update, {"wait_policy": None}, "wait_policy"),
        (cancel, {"reason": 5}, "reason"),
        (cancel, {"reason": "r" * 1001}, "reason"),
        (terminate, {"request_id": []}, "request_id"),
        (repair, {"request_id": 5}, "request_id"),
        (archive, {"reason": []}, "reason"),
    ],
)
async def test_a_wrong_field_reaches_no_run(
    handler: Any, body: dict[str, Any], field: str
) -> None:
    stage = Stage({FINDS: TARGET})
    answer = await stage.ask(handler, params=PARAMS, body=body)
    assert answer.status == 422
    assert list(answer.body["errors"]) == [field]
    assert stage.called == [FINDS]


async def test_a_field_of_the_past_is_told_last() -> None:
    body = {"wait_policy": "x", "wait_for": "x"}
    answer = await Stage({FINDS: TARGET}).ask(update, params=PARAMS, body=body)
    assert list(answer.body["errors"]) == ["wait_for"]


# what the services get ---------------------------------------------------------------


async def given_message(body: Any) -> Message:
    stage = Stage(SIGNAL_STAGE)
    answer = await stage.ask(signal, params=PARAMS, body=body)
    assert answer.status == 202, answer.body
    target, message = stage.calls[1].arguments
    assert target is TARGET
    assert isinstance(message, Message)
    return message


@pytest.mark.parametrize(
    ("sent", "stored"),
    [
        (None, None),
        ([], None),
        ({}, None),
        (["a", 1.0], Payload("json", '["a",1.0]')),
        ({"name": "Ada"}, Payload("json", '{"name":"Ada"}')),
        ({"codec": "avro", "blob": "AARbXQI="}, Payload("avro", "AARbXQI=")),
    ],
)
async def test_arguments_are_kept_as_they_came(
    sent: Any, stored: Payload | None
) -> None:
    assert (await given_message({"input": sent})).arguments == stored


async def test_a_signal_says_who_sent_it() -> None:
    message = await given_message({"request_id": " r-1 ", "ignored": 1})
    assert (message.name, message.request_id) == ("go", "r-1")
    server: Any = message.context["server"]
    assert server == {
        "namespace": NAMESPACE,
        "workflow_id": "order-42",
        "command": "signal",
        "metadata": {"request_id": "r-1", "signal_name": "go"},
    }
    assert (await given_message([1, 2])).request_id is None


@pytest.mark.parametrize(
    ("handler", "command_type"),
    [(cancel, CommandType.CANCEL), (terminate, CommandType.TERMINATE)],
)
async def test_a_close_has_its_reason(handler: Any, command_type: CommandType) -> None:
    command = a_command(
        command_type,
        outcome="cancelled",
        payload=Payload("json", '{"reason":"enough"}'),
    )
    done = Commanded(command=command, run=a_run())
    stage = Stage({FINDS: TARGET, "commands.close": done})
    body = {"reason": " enough ", "request_id": "c-1"}
    answer = await stage.ask(handler, params=PARAMS, body=body)
    assert (answer.status, answer.body["reason"]) == (200, "enough")
    request = stage.calls[1].arguments[1]
    assert isinstance(request, CloseRequest)
    assert (request.command_type, request.reason) == (command_type, "enough")
    server: Any = request.context["server"]
    assert server["metadata"] == {"reason": "enough", "request_id": "c-1"}
    answer = await stage.ask(handler, params=PARAMS, body={"reason": "  "})
    assert stage.calls[-1].arguments[1].reason is None


async def test_an_archive_has_its_reason() -> None:
    payload = Payload("json", '{"reason":"exported"}')
    command = a_command(CommandType.ARCHIVE, outcome="archived", payload=payload)
    done = Commanded(command=command, run=a_run())
    stage = Stage({FINDS: TARGET, "commands.archive": done})
    body = {"reason": " exported ", "request_id": "a-1"}
    answer = await stage.ask(archive, params=PARAMS, body=body)
    assert (answer.status, answer.body["outcome"]) == (200, "archived")
    assert answer.body["reason"] == "exported"
    request = stage.calls[1].arguments[1]
    assert isinstance(request, ArchiveRequest)
    assert (request.reason, request.request_id) == ("exported", "a-1")
    server: Any = request.context["server"]
    assert server["command"] == "archive"


async def test_a_repair_tells_what_came_of_it() -> None:
    command = a_command(
        CommandType.REPAIR,
        outcome="repair_not_needed",
        payload=Payload("json", '{"liveness_state":"timer_scheduled"}'),
    )
    done = Commanded(command=command, run=a_run())
    stage = Stage({FINDS: TARGET, "commands.repair": done})
    answer = await stage.ask(repair, params=PARAMS, body={"request_id": "r-1"})
    assert (answer.status, answer.body["outcome"]) == (200, "repair_not_needed")
    assert answer.body["reason"] is None
    request = stage.calls[1].arguments[1]
    assert request.request_id == "r-1"
    server: Any = request.context["server"]
    assert server["metadata"] == {"request_id": "r-1"}


@pytest.mark.parametrize(
    ("handler", "service", "command_type", "reason"),
    [
        (repair, "repair", CommandType.REPAIR, CommandRejection.RUN_NOT_ACTIVE),
        (archive, "archive", CommandType.ARCHIVE, CommandRejection.RUN_NOT_CLOSED),
    ],
)
async def test_a_rejected_administration(
    handler: Any, service: str, command_type: CommandType, reason: CommandRejection
) -> None:
    done = Commanded(command=a_rejected(command_type, reason), run=a_run())
    stage = Stage({FINDS: TARGET, f"commands.{service}": done})
    answer = await stage.ask(handler, params=PARAMS)
    assert (answer.status, answer.body["reason"]) == (409, reason.value)
    assert answer.body["outcome"] == reason.outcome
    assert answer.body["message"]


# answers -----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("reason", "status"),
    [
        (CommandRejection.RUN_NOT_ACTIVE, 409),
        (CommandRejection.SELECTED_RUN_NOT_CURRENT, 409),
        (CommandRejection.UNKNOWN_SIGNAL, 404),
        (CommandRejection.INVALID_SIGNAL_ARGUMENTS, 422),
        (CommandRejection.STRUCTURAL_LIMIT_EXCEEDED, 409),
    ],
)
async def test_a_rejected_signal(reason: CommandRejection, status: int) -> None:
    command = a_rejected(CommandType.SIGNAL, reason)
    errors = {"name": ["wrong"]}
    done = Commanded(command=command, run=a_run(), validation_errors=errors)
    stage = Stage({FINDS: TARGET, "commands.signal": done})
    answer = await stage.ask(signal, params=PARAMS)
    body = answer.body
    assert answer.status == status
    assert body["reason"] == body["rejection_reason"] == reason
    assert body["outcome"] == (reason.outcome or None)
    assert (body["command_status"], body["validation_errors"]) == ("rejected", errors)
    assert body["message"]


async def test_a_reused_request_id_is_a_conflict() -> None:
    stage = Stage({FINDS: TARGET, "commands.signal": REQUEST_ID_CONFLICT})
    answer = await stage.ask(signal, params=PARAMS)
    assert (answer.status, answer.body["reason"]) == (409, "request_id_conflict")


async def updated(
    done: Updated, body: Any = None, framing: Framing = Framing.WRAPPER
) -> tuple[Answer, Stage]:
    def until_closed(given: Updated, **_: Any) -> Updated:
        return replace(given, is_wait_over=bool(given.update and given.update.is_open))

    answers = {
        FINDS: TARGET,
        "commands.update": done,
        "commands.until_closed": until_closed,
    }
    stage = Stage(answers, limits=replace(LIMITS, control_plane_framing=framing))
    return await stage.ask(update, params=PARAMS, body=body), stage


async def test_an_accepted_update_is_not_waited_for() -> None:
    answer, stage = await updated(UPDATED, {"wait_timeout_seconds": 3})
    body = answer.body
    assert answer.status == 202
    assert (body["update_id"], body["update_status"]) == (UPDATE.id, "accepted")
    assert (body["wait_for"], body["wait_timed_out"]) == ("accepted", False)
    assert body["wait_timeout_seconds"] is None
    assert body["accepted_at"] == "2026-04-13T12:00:00.000000Z"
    assert "commands.until_closed" not in stage.called


@pytest.mark.parametrize(("asked", "seconds"), [(None, 10), (3, 3), ("7", 7)])
async def test_the_wait_has_a_limit(asked: Any, seconds: int) -> None:
    body = {"wait_for": "completed", "wait_timeout_seconds": asked}
    answer, stage = await updated(UPDATED, body)
    assert answer.status == 202
    assert answer.body["wait_timed_out"] is True
    assert answer.body["wait_timeout_seconds"] == seconds
    assert stage.calls[-1].options["seconds"] == seconds
    assert stage.calls[-1].options["is_connected"]()


@pytest.mark.parametrize("framing", Framing)
async def test_a_completed_update_has_its_result(framing: Framing) -> None:
    closed = replace(
        UPDATE,
        status=UpdateStatus.COMPLETED,
        step=3,
        result=Payload("json", '{"ok":true}'),
        applied_at=NOW + 1,
        closed_at=NOW + 2,
    )
    answer, _ = await updated(replace(UPDATED, update=closed), None, framing)
    body = answer.body
    assert answer.status == 200
    assert (body["outcome"], body["result"]) == ("update_completed", {"ok": True})
    assert body["result_envelope"]["codec"] == "avro"
    assert body["workflow_sequence"] == 3
    assert body["closed_at"] == "2026-04-13T12:00:00.000002Z"


async def test_a_failed_update_says_why() -> None:
    failed = replace(
        UPDATE,
        status=UpdateStatus.FAILED,
        failure_id="f",
        failure_message="not allowed",
        closed_at=NOW,
    )
    answer, _ = await updated(replace(UPDATED, update=failed))
    body = answer.body
    assert answer.status == 422
    assert (body["outcome"], body["update_status"]) == ("update_failed", "failed")
    assert body["message"] == body["failure_message"] == "not allowed"
    assert (body["command_status"], body["reason"]) == ("accepted", None)


@pytest.mark.parametrize("has_row", [True, False])
async def test_a_rejected_update(*, has_row: bool) -> None:
    rejected = replace(UPDATE, status=UpdateStatus.REJECTED)
    done = Updated(
        command=a_rejected(CommandType.UPDATE, CommandRejection.UNKNOWN_UPDATE),
        run=a_run(),
        update=rejected if has_row else None,
    )
    answer, _ = await updated(done)
    body = answer.body
    assert (answer.status, body["update_status"]) == (404, "rejected")
    assert body["update_id"] == (UPDATE.id if has_row else None)
    assert body["accepted_at"] is None
    assert body["rejected_at"] == body["closed_at"] == "2026-04-13T12:00:00.000000Z"


# signal with start -------------------------------------------------------------------

WITH_START = {"workflow_type": "orders.process", "task_queue": "gq"}
SEND = "signal_with_start.send"


async def sent(body: Any, answer: Any) -> tuple[Answer, Stage]:
    answers = {
        SEND: answer,
        "workflows.describe": RunDetail(a_view(), None, ()),
    }
    stage = Stage(answers)
    return await stage.ask(signal_with_start, params=PARAMS, body=body), stage


async def test_a_start_comes_with_its_signal() -> None:
    done = SignalledStart(Started(a_run(), "started_new"), SIGNALLED)
    body = {
        **WITH_START,
        "input": [1],
        "signal_input": ["a"],
        "request_id": "r-1",
        "business_key": "b",
    }
    answer, stage = await sent(body, done)
    assert answer.status == 202
    assert answer.body["start_outcome"] == "started_new"
    assert (answer.body["outcome"], answer.body["signal_name"]) == (
        "signal_received",
        "go",
    )
    start, message = stage.calls[0].arguments
    assert isinstance(start, Start)
    assert start.workflow_id == "order-42"
    assert start.input.arguments == Payload("json", "[1]")
    assert start.duplicate_policy is DuplicatePolicy.USE_EXISTING
    assert message.arguments == Payload("json", '["a"]')
    assert (message.name, message.request_id) == ("go", "r-1")
    assert start.context["server"]["command"] == "signal_with_start"


async def test_a_used_id_is_answered_like_a_start() -> None:
    refused = Started(a_run(), "rejected_duplicate", "instance_already_started")
    body = {**WITH_START, "duplicate_policy": "fail"}
    answer, _ = await sent(body, SignalledStart(refused))
    assert answer.status == 409
    assert answer.body["outcome"] == "rejected_duplicate"
    assert answer.body["reason"] == "duplicate_not_allowed"
    assert answer.body["signal_name"] == "go"


async def test_a_refused_signal_starts_nothing() -> None:
    refused = Rejection("unknown_signal", fields={"signal_name": "go"})
    answer, _ = await sent(WITH_START, refused)
    assert (answer.status, answer.body["reason"]) == (404, "unknown_signal")
    assert answer.body["message"]


@pytest.mark.parametrize(
    ("body", "fields"),
    [
        ({}, {"workflow_type"}),
        ({**WITH_START, "signal_input": 5}, {"signal_input"}),
        ({**WITH_START, "duplicate_policy": "reject"}, {"duplicate_policy"}),
        ({**WITH_START, "retry_policy": {}}, {"retry_policy"}),
        ({**WITH_START, "request_id": 5, "priority": 10}, {"request_id", "priority"}),
        (
            {**WITH_START, "signal_input": {"codec": "avro", "blob": "!"}},
            {"signal_input.blob"},
        ),
        ([], {"workflow_type"}),
    ],
)
async def test_wrong_fields_of_a_start_with_signal(body: Any, fields: set[str]) -> None:
    answer, stage = await sent(body, None)
    assert answer.status == 422
    assert set(answer.body["errors"]) == fields
    assert stage.called == []


async def test_the_id_in_the_path_has_the_form_of_one() -> None:
    stage = Stage()
    params = {**PARAMS, "workflow_id": "no good!"}
    answer = await stage.ask(signal_with_start, params=params, body=WITH_START)
    assert list(answer.body["errors"]) == ["workflow_id"]

"""Operator commands, signals and updates of a bundle (§2.6, §2.7)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

import orjson

from dwserver.engine.model import Command, JsonMap, Payload, Run, Signal, Update
from dwserver.engine.payloads import PLAIN_CODEC
from dwserver.engine.words import (
    CommandStatus,
    CommandType,
    SignalStatus,
    UpdateStatus,
)
from dwserver.protocol.history_bundles.reading.row import Row
from dwserver.protocol.json_types import JsonObject
from dwserver.protocol.payloads.framing import display

# Their payload is the server's own note of what was asked for, which it reads again.
_NOTED: Final = frozenset(
    {
        CommandType.CANCEL,
        CommandType.TERMINATE,
        CommandType.REPAIR,
        CommandType.ARCHIVE,
    }
)


def commands_of(bundle: Row, run: Run) -> tuple[Command, ...]:
    intakes = _intakes(bundle)
    return tuple(_command(row, run, intakes) for row in bundle.rows("commands"))


def _command(row: Row, run: Run, intakes: Mapping[str, JsonMap]) -> Command:
    command_id = row.text("id")
    is_rejected = row.value("status") == CommandStatus.REJECTED
    command_type = row.word("type", CommandType)
    payload = row.payload("payload", row.text_or_none("payload_codec"))
    return Command(
        id=command_id,
        namespace=run.namespace,
        workflow_id=run.workflow_id,
        run_id=run.id,
        sequence=row.integer("sequence", minimum=1),
        command_type=command_type,
        status=CommandStatus.REJECTED if is_rejected else CommandStatus.ACCEPTED,
        outcome=row.text_or_none("outcome") or "",
        created_at=row.instant("accepted_at", "rejected_at", "applied_at"),
        target_name=row.text_or_none("target_name"),
        rejection_reason=row.text_or_none("rejection_reason"),
        payload=_noted(payload) if command_type in _NOTED else payload,
        context=_context(row, intakes.get(command_id)),
        applied_at=row.instant_or_none("applied_at"),
    )


def _noted(payload: Payload | None) -> Payload | None:
    """As plain JSON, if it is an object; the note of another engine says nothing."""
    if payload is None:
        return None
    is_readable, value = display(payload)
    if not is_readable or not isinstance(value, dict):
        return None
    return Payload(PLAIN_CODEC, orjson.dumps(value).decode())


def _context(row: Row, intake: JsonMap | None) -> JsonObject:
    """Who gave it, from where, and with which others it came."""
    subject = row.prose_or_none("principal_id")
    blocks: JsonObject = {
        "caller": {"label": row.prose_or_none("caller_label")},
        "auth": {
            "status": row.text_or_none("auth_status"),
            "method": row.text_or_none("auth_method"),
            "principal": {"subject": subject} if subject else None,
        },
        "request": {
            name: row.prose_or_none(f"request_{name}")
            for name in ("method", "path", "fingerprint")
        }
        | {
            "request_id": row.prose_or_none("request_id"),
            "correlation_id": row.prose_or_none("correlation_id"),
        },
    }
    context: JsonObject = {}
    for name, members in blocks.items():
        given = {key: value for key, value in members.items() if value is not None}
        if given:
            context[name] = given
    if intake is not None:
        context["intake"] = intake
    return context


def _intakes(bundle: Row) -> dict[str, JsonMap]:
    """By the ids of the commands that came together."""
    return {
        row.text("id"): {
            "group_id": intake.text("group_id"),
            "mode": intake.text("mode"),
            "start_outcome": intake.text_or_none("start_outcome"),
        }
        for intake in bundle.rows("linked_intakes")
        for row in intake.rows("commands")
    }


def signals_of(
    bundle: Row, run: Run, commands: Mapping[str, Command]
) -> tuple[Signal, ...]:
    return tuple(_signal(row, run, commands) for row in bundle.rows("signals"))


def _signal(row: Row, run: Run, commands: Mapping[str, Command]) -> Signal:
    command_id = row.text("command_id")
    return Signal(
        id=row.text("id"),
        run_id=run.id,
        command_id=command_id,
        sequence=_sequence(row, commands),
        name=row.text("name"),
        wait_id=row.text_or_none("signal_wait_id") or f"signal-command:{command_id}",
        status=row.word("status", SignalStatus),
        received_at=row.instant("received_at", "rejected_at", "applied_at"),
        step=row.integer_or_none("workflow_sequence"),
        applied_at=row.instant_or_none("applied_at"),
    )


def updates_of(
    bundle: Row, run: Run, commands: Mapping[str, Command]
) -> tuple[Update, ...]:
    messages = {
        row.text("id"): row.prose_or_none("message") for row in bundle.rows("failures")
    }
    return tuple(
        _update(row, run, commands, messages) for row in bundle.rows("updates")
    )


def _update(
    row: Row,
    run: Run,
    commands: Mapping[str, Command],
    messages: Mapping[str, str | None],
) -> Update:
    failure_id = row.text_or_none("failure_id")
    return Update(
        id=row.text("id"),
        run_id=run.id,
        command_id=row.text("command_id"),
        sequence=_sequence(row, commands),
        name=row.text("name"),
        status=row.word("status", UpdateStatus),
        accepted_at=row.instant("accepted_at", "rejected_at", "applied_at"),
        step=row.integer_or_none("workflow_sequence"),
        result=row.payload("result", row.text_or_none("payload_codec")),
        failure_id=failure_id,
        failure_message=messages.get(failure_id or ""),
        applied_at=row.instant_or_none("applied_at"),
        closed_at=row.instant_or_none("closed_at"),
    )


def _sequence(row: Row, commands: Mapping[str, Command]) -> int:
    """A message has the sequence of its command."""
    command = commands.get(row.text("command_id"))
    if command is None:
        raise row.problem("command_id", "names no command of the bundle")
    return command.sequence

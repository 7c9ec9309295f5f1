"""Payloads of the events of signals and updates (``spec/engine.md §13``)."""

from __future__ import annotations

from dwserver.engine.events import command_snapshot, present, task_snapshot
from dwserver.engine.model import (
    Command,
    Failure,
    JsonMap,
    Payload,
    Run,
    Signal,
    Task,
    Update,
    Wait,
)
from dwserver.engine.payloads import WIRE_CODEC, embed, embed_envelope
from dwserver.engine.words import CommandOutcome, CommandStatus, CommandType


def signal_received(
    run: Run, signal: Signal, command: Command, *, wait: Wait | None
) -> dict[str, object]:
    """``wait``: the one that was open for it."""
    return present(
        {
            "workflow_command_id": command.id,
            "signal_id": signal.id,
            "workflow_instance_id": run.workflow_id,
            "workflow_run_id": run.id,
            "signal_name": signal.name,
            "signal_wait_id": signal.wait_id,
            "arguments": embed_envelope(command.payload),
            "payload_codec": WIRE_CODEC,
            "workflow_sequence": wait.step if wait else None,
            "command": command_snapshot(command),
        }
    )


def signal_applied(
    signal: Signal, wait: Wait, *, value: Payload | None, cause: Task
) -> dict[str, object]:
    return present(
        {
            "workflow_command_id": signal.command_id,
            "signal_id": signal.id,
            "signal_name": signal.name,
            "signal_wait_id": signal.wait_id,
            "sequence": wait.step,
            "value": embed(value),
            "payload_codec": WIRE_CODEC,
            "task": task_snapshot(cause),
            "command": _command_of(signal, CommandOutcome.SIGNAL_RECEIVED),
        }
    )


def update_accepted(run: Run, update: Update, command: Command) -> dict[str, object]:
    fields = {
        **_of_update(run, update),
        "arguments": embed(command.payload),
        "payload_codec": WIRE_CODEC,
    }
    if update.request_id is not None:
        fields["request_id"] = update.request_id
    fields["command"] = command_snapshot(command)
    return fields


def update_rejected(
    run: Run, update: Update, command: Command, *, validation_errors: JsonMap
) -> dict[str, object]:
    return {
        **_of_update(run, update),
        "arguments": embed(command.payload),
        "payload_codec": WIRE_CODEC,
        "rejection_reason": command.rejection_reason,
        "validation_errors": dict(validation_errors),
        "command": command_snapshot(command),
    }


def update_applied(
    run: Run, update: Update, *, arguments: Payload | None, cause: Task
) -> dict[str, object]:
    return {
        **_of_update(run, update),
        "arguments": embed(arguments),
        "payload_codec": WIRE_CODEC,
        "sequence": update.step,
        "task": task_snapshot(cause),
        "command": _command_of(update, CommandOutcome.OPEN),
    }


def update_completed(run: Run, update: Update, *, cause: Task) -> dict[str, object]:
    return {
        **_of_update(run, update),
        "sequence": update.step,
        "result": embed(update.result),
        "payload_codec": WIRE_CODEC,
        "task": task_snapshot(cause),
        "command": _command_of(update, CommandOutcome.UPDATE_COMPLETED),
    }


def update_failed(
    run: Run, update: Update, failure: Failure, *, cause: Task, exception: JsonMap
) -> dict[str, object]:
    """``UpdateCompleted`` of a handler that failed."""
    return {
        **_of_update(run, update),
        "sequence": update.step,
        "failure_id": failure.id,
        "failure_category": failure.category,
        "non_retryable": failure.non_retryable,
        "exception_type": failure.exception_type,
        "exception_class": failure.exception_class,
        "message": failure.message,
        "code": 0,
        "exception": dict(exception),
        "task": task_snapshot(cause),
        "command": _command_of(update, CommandOutcome.UPDATE_FAILED),
    }


def _of_update(run: Run, update: Update) -> dict[str, object]:
    return {
        "workflow_command_id": update.command_id,
        "update_id": update.id,
        "workflow_instance_id": run.workflow_id,
        "workflow_run_id": run.id,
        "update_name": update.name,
    }


def _command_of(message: Signal | Update, outcome: CommandOutcome) -> dict[str, object]:
    """The snapshot of the command that brought a message, as far as its row tells."""
    is_signal = isinstance(message, Signal)
    fields: dict[str, object] = {
        "id": message.command_id,
        "sequence": message.sequence,
        "type": CommandType.SIGNAL if is_signal else CommandType.UPDATE,
        "target_scope": "instance",
        "source": "control_plane",
        "status": CommandStatus.ACCEPTED,
        "target_name": message.name,
    }
    if outcome:
        fields["outcome"] = outcome
    return fields

"""``complete_update`` and ``fail_update`` (``spec/worker-protocol.md §8.8``)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from dwserver.engine import message_events
from dwserver.engine.background import Background
from dwserver.engine.draft import Draft
from dwserver.engine.events import present
from dwserver.engine.model import AppliedCommand, Failure, Payload, Task, Update
from dwserver.engine.outcome import Rejection
from dwserver.engine.records import replace
from dwserver.engine.waits import newest_open_condition
from dwserver.engine.wakes import update_of
from dwserver.engine.words import (
    CommandOutcome,
    EventType,
    FailureCategory,
    UpdateStatus,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class CompleteUpdate:
    update_id: str
    result: Payload | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class FailUpdate:
    update_id: str
    message: str
    exception_type: str | None = None
    exception_class: str | None = None
    non_retryable: bool = False


CloseUpdate = CompleteUpdate | FailUpdate


def check(
    draft: Draft, commands: Sequence[CloseUpdate], *, cause: Task
) -> Rejection | None:
    """Each update once, an accepted one that stands in the history of this run, and no
    other than that of the task if it has one."""
    own = update_of(cause)
    accepted = {
        update.id
        for update in draft.updates.values()
        if update.is_open and update.event_sequence
    }
    seen: set[str] = set()
    for command in commands:
        update_id = command.update_id
        if update_id in seen:
            problem = f"Update [{update_id}] is closed twice."
        elif update_id not in accepted:
            problem = f"The run has no accepted update [{update_id}]."
        elif own is not None and update_id != own:
            problem = f"The task is for update [{own}], not [{update_id}]."
        else:
            seen.add(update_id)
            continue
        fields = {"run_id": draft.run.id, "run_status": draft.run.status}
        return Rejection("invalid_commands", problem, fields)
    return None


def apply(
    draft: Draft, command: CloseUpdate, *, cause: Task, background: Background
) -> None:
    """Close the update. It takes no step of its own: its events carry that of the
    condition that it may have changed, else the latest one."""
    now = draft.context.now
    wait = newest_open_condition(draft)
    update = next(u for u in draft.updates.values() if u.id == command.update_id)
    update = replace(
        update,
        step=wait.step if wait else draft.last_step or 1,
        applied_at=now,
        closed_at=now,
    )
    match command:
        case CompleteUpdate(result=result):
            outcome = CommandOutcome.UPDATE_COMPLETED
            arguments = draft.payload_of(update.sequence, background.payloads)
            update = _complete(draft, update, result, arguments, cause)
        case FailUpdate():
            outcome = CommandOutcome.UPDATE_FAILED
            update = _fail(draft, update, command, cause)
    draft.updates.put(update)
    draft.apply_command(AppliedCommand(update.sequence, outcome, now))


def _complete(
    draft: Draft,
    update: Update,
    result: Payload | None,
    arguments: Payload | None,
    cause: Task,
) -> Update:
    completed = replace(update, status=UpdateStatus.COMPLETED, result=result)
    run = draft.run
    draft.append(
        EventType.UPDATE_APPLIED,
        message_events.update_applied(run, completed, arguments=arguments, cause=cause),
        task_id=cause.id,
        command_id=update.command_id,
    )
    draft.append(
        EventType.UPDATE_COMPLETED,
        message_events.update_completed(run, completed, cause=cause),
        task_id=cause.id,
        command_id=update.command_id,
    )
    return completed


def _fail(draft: Draft, update: Update, command: FailUpdate, cause: Task) -> Update:
    context = draft.context
    failure = Failure(
        id=context.next_id(),
        run_id=update.run_id,
        source_kind="workflow_update",
        source_id=update.id,
        propagation_kind="update",
        category=FailureCategory.APPLICATION,
        message=command.message,
        created_at=context.now,
        exception_type=command.exception_type,
        exception_class=command.exception_class,
        non_retryable=command.non_retryable,
        event_sequence=draft.last_sequence + 1,
    )
    failed = replace(
        update,
        status=UpdateStatus.FAILED,
        failure_id=failure.id,
        failure_message=failure.message,
    )
    exception = present(
        {
            "class": command.exception_class,
            "type": command.exception_type,
            "message": command.message,
        }
    )
    draft.append(
        EventType.UPDATE_COMPLETED,
        message_events.update_failed(
            draft.run, failed, failure, cause=cause, exception=exception
        ),
        task_id=cause.id,
        command_id=update.command_id,
    )
    draft.record_failure(failure)
    return failed

"""Rows, by column name, as the records that the Store returns.

A plain column is called like the field that it fills; the functions below convert the
others in place. A map that is stored as null is the empty one (see ``rows.py``).
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import orjson

from dwserver.engine.model import (
    Activity,
    Child,
    ClosedAttempt,
    Command,
    Failure,
    Instance,
    JsonMap,
    OutboxEntry,
    Payload,
    RetryPolicy,
    Run,
    RunInput,
    Signal,
    Task,
    Timer,
    Update,
    Wait,
    Wake,
)
from dwserver.engine.transition import RunImport
from dwserver.engine.words import (
    ActivityStatus,
    AttemptStatus,
    ChildStatus,
    ClosedReason,
    CommandStatus,
    CommandType,
    FailureCategory,
    OutboxKind,
    ParentClosePolicy,
    RunStatus,
    SignalStatus,
    TaskKind,
    TaskStatus,
    TimerKind,
    TimerStatus,
    UpdateStatus,
    WaitFor,
    WaitStatus,
)
from dwserver.store.api import (
    Namespace,
    RunPlace,
    RunView,
    StoredEvent,
    WorkerRegistration,
)
from dwserver.store.columns import plain

Columns = dict[str, Any]


def to_run(row: Columns) -> Run:
    reason = row["closed_reason"]
    row["status"] = RunStatus(row["status"])
    row["closed_reason"] = None if reason is None else ClosedReason(reason)
    row["inherits_children"] = bool(row["inherits_children"])
    row["wakes"] = _to_wakes(row["wakes"])
    return Run(**row)


def to_task(row: Columns) -> Task:
    row["kind"] = TaskKind(row["kind"])
    row["status"] = TaskStatus(row["status"])
    row["resume"] = _to_map(row["resume"])
    return Task(**row)


def to_activity(row: Columns) -> Activity:
    row["status"] = ActivityStatus(row["status"])
    row["retry_policy"] = _to_retry_policy(row["retry_policy"])
    row["parallel"] = _to_optional(row["parallel"])
    row["is_held"] = bool(row["is_held"])
    return Activity(**row)


def to_timer(row: Columns) -> Timer:
    row["status"] = TimerStatus(row["status"])
    row["kind"] = TimerKind(row["kind"])
    row["parallel"] = _to_optional(row["parallel"])
    row["is_held"] = bool(row["is_held"])
    return Timer(**row)


def to_child(row: Columns) -> Child:
    row["status"] = ChildStatus(row["status"])
    row["parent_close_policy"] = ParentClosePolicy(row["parent_close_policy"])
    row["retry_policy"] = _to_retry_policy(row["retry_policy"])
    row["parallel"] = _to_optional(row["parallel"])
    row["is_held"] = bool(row["is_held"])
    return Child(**row)


def to_wait(row: Columns) -> Wait:
    row["wait_for"] = WaitFor(row["wait_for"])
    row["status"] = WaitStatus(row["status"])
    row["parallel"] = _to_optional(row["parallel"])
    row["is_held"] = bool(row["is_held"])
    return Wait(**row)


def to_signal(row: Columns) -> Signal:
    row["status"] = SignalStatus(row["status"])
    return Signal(**row)


def to_update(row: Columns) -> Update:
    row["status"] = UpdateStatus(row["status"])
    row["result"] = to_payload(row.pop("result_codec"), row["result"])
    return Update(**row)


def to_command(row: Columns) -> Command:
    row["command_type"] = CommandType(row["command_type"])
    row["status"] = CommandStatus(row["status"])
    row["payload"] = to_payload(row.pop("payload_codec"), row["payload"])
    row["context"] = _to_map(row["context"])
    return Command(**row)


def to_outbox_entry(row: Columns) -> OutboxEntry:
    row["kind"] = OutboxKind(row["kind"])
    row["payload"] = _to_map(row["payload"])
    return OutboxEntry(**row)


def to_instance(row: Columns) -> Instance:
    return Instance(**row)


def to_closed_attempt(row: Columns) -> ClosedAttempt:
    row["status"] = AttemptStatus(row["status"])
    return ClosedAttempt(**row)


def to_run_input(row: Columns) -> RunInput:
    """Takes the columns that it needs out of the row."""
    return RunInput(
        arguments=to_payload(row.pop("arguments_codec"), row.pop("arguments")),
        memo=_to_map(row.pop("memo")),
        search_attributes=_to_map(row.pop("search_attributes")),
        business_key=row.pop("business_key"),
    )


def to_payload(codec: str | None, data: bytes | None) -> Payload | None:
    if codec is None or data is None:
        return None
    return Payload(codec, data.decode())


def to_run_view(row: Columns) -> RunView:
    given = to_run_input(row)
    output = to_payload(row.pop("output_codec"), row.pop("output"))
    of_instance = row.pop("run_count"), row.pop("current_run_id")
    pruned_at = row.pop("pruned_at")
    imported = to_run_import(row)
    return RunView(to_run(row), given, output, *of_instance, pruned_at, imported)


def to_run_place(row: Columns) -> RunPlace:
    imported = to_run_import(row)
    return RunPlace(row["namespace"], row["workflow_id"], imported)


def to_run_import(row: Columns) -> RunImport | None:
    values = {name: row.pop(name) for name in plain("run_import")}
    return RunImport(**values) if values["import_source"] is not None else None


def to_failure(row: Columns) -> Failure:
    row["category"] = FailureCategory(row["category"])
    row["non_retryable"] = bool(row["non_retryable"])
    return Failure(**row)


def to_stored_event(row: Columns) -> StoredEvent:
    row["has_plain"] = bool(row["has_plain"])
    return StoredEvent(**row)


def to_namespace(row: Columns) -> Namespace:
    row["external_storage"] = _to_optional(row["external_storage"])
    return Namespace(**row)


def to_worker(row: Columns) -> WorkerRegistration:
    row["workflow_types"] = tuple(orjson.loads(row["workflow_types"]))
    row["activity_types"] = tuple(orjson.loads(row["activity_types"]))
    row["fingerprints"] = orjson.loads(row["fingerprints"])
    row["details"] = orjson.loads(row["details"])
    return WorkerRegistration(**row)


def _to_map(document: bytes | None) -> JsonMap:
    return {} if document is None else orjson.loads(document)


def _to_optional(document: bytes | None) -> JsonMap | None:
    return None if document is None else orjson.loads(document)


def _to_wakes(document: bytes | None) -> tuple[Wake, ...]:
    resumes: Iterable[JsonMap] = () if document is None else orjson.loads(document)
    return tuple(Wake(resume) for resume in resumes)


def _to_retry_policy(document: bytes | None) -> RetryPolicy | None:
    if document is None:
        return None
    fields = orjson.loads(document)
    fields["backoff_seconds"] = tuple(fields["backoff_seconds"])
    fields["non_retryable_error_types"] = tuple(fields["non_retryable_error_types"])
    return RetryPolicy(**fields)

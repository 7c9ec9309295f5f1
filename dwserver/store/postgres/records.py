"""Rows as records: the decoders take the columns in the order of ``store/columns.py``.

A decoder takes anything that is indexed by position: a row, or an element of an array
of a row type. Enum words are looked up in tables: calling an enum costs ten times that.
"""

from __future__ import annotations

from enum import StrEnum
from typing import Any, Protocol, TypeVar

import orjson

from dwserver.engine.model import (
    ClosedAttempt,
    Command,
    Failure,
    Instance,
    JsonMap,
    OutboxEntry,
    Payload,
    Run,
    RunInput,
    Task,
    Wake,
)
from dwserver.engine.transition import RunImport
from dwserver.engine.words import (
    AttemptStatus,
    ClosedReason,
    CommandStatus,
    CommandType,
    FailureCategory,
    OutboxKind,
    RunStatus,
    TaskKind,
    TaskStatus,
)
from dwserver.store.api import (
    Namespace,
    RunPlace,
    RunView,
    StoredEvent,
    WorkerRegistration,
)

Word = TypeVar("Word", bound=StrEnum)


class Columns(Protocol):
    """A row, or a part of one, by position."""

    def __getitem__(self, position: int, /) -> Any: ...


RUN_WIDTH = 34
_INPUT_WIDTH = 5


def words_of(enum: type[Word]) -> dict[str, Word]:
    """The words of an enum by what the database calls them."""
    return {word.value: word for word in enum}


_RUN_STATUS = words_of(RunStatus)
_CLOSED_REASON = words_of(ClosedReason)
_TASK_KIND = words_of(TaskKind)
_TASK_STATUS = words_of(TaskStatus)


def decode_map(value: bytes | None) -> JsonMap:
    """A map that is stored as null when it is empty."""
    return {} if value is None else orjson.loads(value)


def decode_optional_map(value: bytes | None) -> JsonMap | None:
    """A map whose absence means something else than its emptiness."""
    return None if value is None else orjson.loads(value)


def decode_payload(codec: str | None, data: bytes | None) -> Payload | None:
    if codec is None or data is None:
        return None
    return Payload(codec, data.decode())


def _decode_wakes(value: bytes | None) -> tuple[Wake, ...]:
    return () if value is None else tuple(map(Wake, orjson.loads(value)))


def decode_run(row: Columns) -> Run:
    return Run(
        id=row[0],
        namespace=row[1],
        workflow_id=row[2],
        workflow_type=row[3],
        run_number=row[4],
        status=_RUN_STATUS[row[5]],
        task_queue=row[6],
        payload_codec=row[7],
        started_at=row[8],
        last_progress_at=row[9],
        version=row[10],
        last_sequence=row[11],
        last_step=row[12],
        history_bytes=row[13],
        command_sequence=row[14],
        closed_reason=None if row[15] is None else _CLOSED_REASON[row[15]],
        closed_at=row[16],
        compatibility=row[17],
        priority=row[18],
        execution_timeout_seconds=row[19],
        run_timeout_seconds=row[20],
        execution_deadline_at=row[21],
        run_deadline_at=row[22],
        task_failures=row[23],
        batch_first=row[24],
        batch_size=row[25],
        batch_resolved_sequence=row[26],
        continued_from_run_id=row[27],
        parent_run_id=row[28],
        parent_step=row[29],
        inherits_children=row[30],
        archived_at=row[31],
        definition_fingerprint=row[32],
        wakes=_decode_wakes(row[33]),
    )


def decode_input(row: Columns, start: int) -> RunInput:
    return RunInput(
        arguments=decode_payload(row[start], row[start + 1]),
        memo=decode_map(row[start + 2]),
        search_attributes=decode_map(row[start + 3]),
        business_key=row[start + 4],
    )


def decode_run_view(row: Columns) -> RunView:
    rest = RUN_WIDTH + _INPUT_WIDTH
    return RunView(
        run=decode_run(row),
        input=decode_input(row, RUN_WIDTH),
        output=decode_payload(row[rest], row[rest + 1]),
        run_count=row[rest + 2],
        current_run_id=row[rest + 3],
        pruned_at=row[rest + 4],
        imported=decode_run_import(row, rest + 5),
    )


def decode_run_place(row: Columns) -> RunPlace:
    return RunPlace(row[0], row[1], decode_run_import(row, 2))


def decode_run_import(row: Columns, start: int) -> RunImport | None:
    if row[start] is None:
        return None
    return RunImport(
        import_source=row[start],
        import_id=row[start + 1],
        import_dedupe_key=row[start + 2],
        import_contract_version=row[start + 3],
        imported_at=row[start + 4],
    )


def decode_task(row: Columns, start: int = 0) -> Task:
    return Task(
        id=row[start],
        run_id=row[start + 1],
        namespace=row[start + 2],
        kind=_TASK_KIND[row[start + 3]],
        status=_TASK_STATUS[row[start + 4]],
        queue=row[start + 5],
        type_name=row[start + 6],
        available_at=row[start + 7],
        created_at=row[start + 8],
        compatibility=row[start + 9],
        priority=row[start + 10],
        attempt=row[start + 11],
        repair_count=row[start + 12],
        lease_owner=row[start + 13],
        leased_at=row[start + 14],
        lease_expires_at=row[start + 15],
        snapshot_sequence=row[start + 16],
        activity_id=row[start + 17],
        attempt_id=row[start + 18],
        last_error=row[start + 19],
        closed_at=row[start + 20],
        definition_fingerprint=row[start + 21],
        resume=decode_map(row[start + 22]),
    )


def decode_instance(row: Columns) -> Instance:
    return Instance(
        namespace=row[0],
        workflow_id=row[1],
        workflow_type=row[2],
        current_run_id=row[3],
        run_count=row[4],
        created_at=row[5],
    )


def decode_attempt(row: Columns) -> ClosedAttempt:
    return ClosedAttempt(
        id=row[0],
        activity_id=row[1],
        task_id=row[2],
        run_id=row[3],
        number=row[4],
        status=AttemptStatus(row[5]),
        lease_owner=row[6],
        started_at=row[7],
        closed_at=row[8],
    )


def decode_event(row: Columns, start: int = 0) -> StoredEvent:
    return StoredEvent(
        id=row[start],
        sequence=row[start + 1],
        event_type=row[start + 2],
        payload=row[start + 3],
        recorded_at=row[start + 4],
        has_plain=row[start + 5],
        task_id=row[start + 6],
        command_id=row[start + 7],
    )


def decode_command(row: Columns) -> Command:
    return Command(
        id=row[0],
        namespace=row[1],
        workflow_id=row[2],
        run_id=row[3],
        sequence=row[4],
        command_type=CommandType(row[5]),
        status=CommandStatus(row[6]),
        outcome=row[7],
        created_at=row[8],
        target_name=row[9],
        rejection_reason=row[10],
        request_id=row[11],
        applied_at=row[12],
        payload=decode_payload(row[13], row[14]),
        context=decode_map(row[15]),
    )


def decode_outbox_entry(row: Columns) -> OutboxEntry:
    return OutboxEntry(
        id=row[0],
        kind=OutboxKind(row[1]),
        namespace=row[2],
        run_id=row[3],
        available_at=row[4],
        created_at=row[5],
        payload=decode_map(row[6]),
    )


def decode_failure(row: Columns) -> Failure:
    return Failure(
        id=row[0],
        run_id=row[1],
        source_kind=row[2],
        source_id=row[3],
        propagation_kind=row[4],
        category=FailureCategory(row[5]),
        message=row[6],
        created_at=row[7],
        exception_type=row[8],
        exception_class=row[9],
        non_retryable=row[10],
        event_sequence=row[11],
    )


def decode_namespace(row: Columns) -> Namespace:
    return Namespace(
        name=row[0],
        description=row[1],
        retention_days=row[2],
        status=row[3],
        created_at=row[4],
        updated_at=row[5],
        external_storage=decode_optional_map(row[6]),
    )


def decode_worker(row: Columns) -> WorkerRegistration:
    return WorkerRegistration(
        namespace=row[0],
        worker_id=row[1],
        task_queue=row[2],
        runtime=row[3],
        sdk_version=row[4],
        build_id=row[5],
        max_workflow_tasks=row[6],
        max_activity_tasks=row[7],
        status=row[8],
        registered_at=row[9],
        last_heartbeat_at=row[10],
        workflow_types=tuple(orjson.loads(row[11])),
        activity_types=tuple(orjson.loads(row[12])),
        fingerprints=orjson.loads(row[13]),
        details=orjson.loads(row[14]),
    )

"""Loads: the slices that decisions read."""

from __future__ import annotations

from collections.abc import Sequence
from operator import attrgetter
from typing import NamedTuple

from dwserver.engine.model import (
    Child,
    ClosedAttempt,
    Command,
    Instance,
    Payload,
    Run,
    RunInput,
    RunState,
    Task,
    Update,
)
from dwserver.engine.words import CommandType
from dwserver.store.api import StoredEvent
from dwserver.store.combiner import LoadCombiner
from dwserver.store.postgres.blocks import block
from dwserver.store.postgres.connections import ConnectionPool
from dwserver.store.postgres.hot_state import (
    decode_child,
    decode_run_state,
    decode_update,
)
from dwserver.store.postgres.records import (
    decode_attempt,
    decode_command,
    decode_event,
    decode_input,
    decode_instance,
    decode_payload,
    decode_task,
)

_LOAD_RUNS = block("load_runs")
_FIND_INSTANCE = block("find_instance")
_FIND_TASK = block("find_task")
_FIND_CLOSED_ATTEMPT = block("find_closed_attempt")
_LIST_RUN_INPUTS = block("list_run_inputs")
_LIST_ACTIVITY_ARGUMENTS = block("list_activity_arguments")
_LIST_MESSAGE_PAYLOADS = block("list_message_payloads")
_FIND_COMMAND = block("find_command")
_FIND_COMMAND_OF_WORKFLOW = block("find_command_of_workflow")
_FIND_UPDATE = block("find_update")
_FIND_UPDATE_OF_COMMAND = block("find_update_of_command")
_LIST_OPEN_CHILDREN = block("list_open_children")
_LIST_HISTORY = block("list_history")

_LAST_SEQUENCE = 2**63 - 1
_by_sequence = attrgetter("sequence")
# Pages may be long: only so many come in one answer.
_MAX_PAGES = 32


class _Page(NamedTuple):
    """Events of a run: a key of many loads, so a plain tuple."""

    run_id: str
    after: int
    upto: int
    most: int


class StateReads:
    """The loads of the Store (:class:`dwserver.store.api.Store`)."""

    def __init__(self, pool: ConnectionPool) -> None:
        self._pool = pool
        self._loads = LoadCombiner(self._load_runs)
        self._inputs = LoadCombiner(self._load_inputs)
        self._pages = LoadCombiner(self._load_pages, max_keys=_MAX_PAGES)

    async def finish_loads(self) -> None:
        """Wait for the combined loads that were asked for."""
        for loads in (self._loads, self._inputs, self._pages):
            await loads.close()

    async def load_run(self, run_id: str) -> RunState | None:
        return await self._loads.load(run_id)

    async def _load_runs(self, run_ids: Sequence[str]) -> dict[str, RunState]:
        rows = await self._pool.fetch(_LOAD_RUNS, run_ids)
        return {row[0]: decode_run_state(row) for row in rows}

    async def find_instance(self, namespace: str, workflow_id: str) -> Instance | None:
        rows = await self._pool.fetch(_FIND_INSTANCE, namespace, workflow_id)
        return decode_instance(rows[0]) if rows else None

    async def find_task(self, namespace: str, task_id: str) -> Task | None:
        rows = await self._pool.fetch(_FIND_TASK, namespace, task_id)
        return decode_task(rows[0]) if rows else None

    async def find_closed_attempt(self, attempt_id: str) -> ClosedAttempt | None:
        rows = await self._pool.fetch(_FIND_CLOSED_ATTEMPT, attempt_id)
        return decode_attempt(rows[0]) if rows else None

    async def run_input(self, run_id: str) -> RunInput | None:
        return await self._inputs.load(run_id)

    async def _load_inputs(self, run_ids: Sequence[str]) -> dict[str, RunInput]:
        rows = await self._pool.fetch(_LIST_RUN_INPUTS, run_ids)
        return {row[0]: decode_input(row, 1) for row in rows}

    async def activity_arguments(
        self, activity_ids: Sequence[str]
    ) -> dict[str, Payload | None]:
        rows = await self._pool.fetch(_LIST_ACTIVITY_ARGUMENTS, activity_ids)
        return {row[0]: decode_payload(row[1], row[2]) for row in rows}

    async def message_payloads(
        self, run_id: str, sequences: Sequence[int]
    ) -> dict[int, Payload | None]:
        rows = await self._pool.fetch(_LIST_MESSAGE_PAYLOADS, run_id, sequences)
        return {row[0]: decode_payload(row[1], row[2]) for row in rows}

    async def find_command(
        self, run_id: str, request_id: str, *, command_type: CommandType | None = None
    ) -> Command | None:
        rows = await self._pool.fetch(_FIND_COMMAND, run_id, request_id, command_type)
        return decode_command(rows[0]) if rows else None

    async def find_command_of_workflow(
        self, run: Run, request_id: str, *, command_type: CommandType, runs: int
    ) -> Command | None:
        rows = await self._pool.fetch(
            _FIND_COMMAND_OF_WORKFLOW,
            run.namespace,
            run.workflow_id,
            run.run_number - runs,
            run.run_number,
            request_id,
            command_type,
        )
        return decode_command(rows[0]) if rows else None

    async def find_update(self, update_id: str) -> Update | None:
        rows = await self._pool.fetch(_FIND_UPDATE, update_id)
        return decode_update(rows[0]) if rows else None

    async def find_update_of_command(self, run_id: str, sequence: int) -> Update | None:
        rows = await self._pool.fetch(_FIND_UPDATE_OF_COMMAND, run_id, sequence)
        return decode_update(rows[0]) if rows else None

    async def open_children(self, run_ids: Sequence[str]) -> list[Child]:
        rows = await self._pool.fetch(_LIST_OPEN_CHILDREN, run_ids)
        return list(map(decode_child, rows))

    async def history(
        self, run_id: str, *, after: int, upto: int | None, limit: int
    ) -> list[StoredEvent]:
        last = _LAST_SEQUENCE if upto is None else upto
        return await self._pages.load(_Page(run_id, after, last, limit)) or []

    async def _load_pages(
        self, pages: Sequence[_Page]
    ) -> dict[_Page, list[StoredEvent]]:
        rows = await self._pool.fetch(
            _LIST_HISTORY, *map(list, zip(*pages, strict=True))
        )
        found: list[list[StoredEvent]] = [[] for _ in pages]
        for row in rows:
            found[row[0] - 1].append(decode_event(row, 1))
        for events in found:
            # They come in this order; only nobody has promised it.
            events.sort(key=_by_sequence)
        return dict(zip(pages, found, strict=True))

"""Runs as operators see them (``spec/control-plane-api.md`` §5.1, §5.3, §5.4)."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final, TypeAlias

from dwserver.engine.hosts import is_host
from dwserver.engine.model import Payload, Run
from dwserver.engine.run_waits import waiting_for
from dwserver.engine.transition import RunImport
from dwserver.engine.wire_time import iso, iso_or_none, micro, micro_or_none
from dwserver.http.control_plane.failure_views import failure_fields
from dwserver.http.control_plane.fleet import Fleet
from dwserver.protocol.json_types import JsonObject, JsonValue
from dwserver.protocol.manifests.embedded_import import (
    COLUMNS,
    ENGINE_SOURCE,
    OWN_ENGINE,
)
from dwserver.protocol.payloads.framing import Framing, display, encode_for
from dwserver.services.records import RunView
from dwserver.services.workflows import RunDetail

Fetched: TypeAlias = Mapping[Payload, Payload]
NOTHING_FETCHED: Final[Fetched] = MappingProxyType({})


def list_row(view: RunView, fleet: Fleet) -> JsonObject:
    """A row of the run list."""
    run = view.run
    return {
        "workflow_id": run.workflow_id,
        "run_id": run.id,
        "workflow_type": run.workflow_type,
        "business_key": view.input.business_key,
        "status": run.status,
        "status_bucket": run.status.bucket,
        "task_queue": run.task_queue,
        "is_terminal": run.status.is_terminal,
        **fleet.fields(run),
        "engine_source": _engine_source(view),
        "started_at": micro(run.started_at),
        "closed_at": micro_or_none(run.closed_at),
        "search_attributes": dict(view.input.search_attributes),
    }


def run_row(view: RunView, fleet: Fleet) -> JsonObject:
    """A row of the runs of one workflow id."""
    run = view.run
    return {
        "run_id": run.id,
        "run_number": run.run_number,
        "workflow_type": run.workflow_type,
        "business_key": view.input.business_key,
        "status": run.status,
        "task_queue": run.task_queue,
        "is_current_run": run.id == view.current_run_id,
        **fleet.fields(run),
        "started_at": micro(run.started_at),
        "closed_at": micro_or_none(run.closed_at),
    }


def run_detail(
    detail: RunDetail,
    fleet: Fleet,
    framing: Framing,
    *,
    can_query: bool,
    fetched: Fetched = NOTHING_FETCHED,
) -> JsonObject:
    """Everything about a run; ``framing`` is for values that came unencoded.
    ``can_query``: a worker is there that could answer a query about it. ``fetched``:
    payloads that lie outside the database, as they are there."""
    view, run = detail.view, detail.view.run
    waiting = waiting_for(detail.state) if detail.state else None
    wait_kind, wait_reason = waiting or (None, None)
    return {
        "workflow_id": run.workflow_id,
        "run_id": run.id,
        "namespace": run.namespace,
        "workflow_type": run.workflow_type,
        "business_key": view.input.business_key,
        "status": run.status,
        "status_bucket": run.status.bucket,
        "is_terminal": run.status.is_terminal,
        "closed_reason": run.closed_reason,
        "task_queue": run.task_queue,
        "run_number": run.run_number,
        "run_count": view.run_count,
        "is_current_run": run.id == view.current_run_id,
        **fleet.fields(run),
        "engine_source": _engine_source(view),
        **_origin(view.imported),
        "payload_codec": run.payload_codec,
        "execution_timeout_seconds": run.execution_timeout_seconds,
        "run_timeout_seconds": run.run_timeout_seconds,
        "execution_deadline_at": iso_or_none(run.execution_deadline_at),
        "run_deadline_at": iso_or_none(run.run_deadline_at),
        "input": _arguments(_read(view.input.arguments, fetched)),
        "output": _value(_read(view.output, fetched)),
        "input_envelope": _envelope(view.input.arguments, framing),
        "output_envelope": _envelope(view.output, framing),
        "started_at": micro(run.started_at),
        "closed_at": micro_or_none(run.closed_at),
        "last_progress_at": iso(run.last_progress_at),
        **({} if view.pruned_at is None else {"pruned_at": micro(view.pruned_at)}),
        "wait_kind": wait_kind,
        "wait_reason": wait_reason,
        "memo": dict(view.input.memo),
        "search_attributes": dict(view.input.search_attributes),
        "actions": _actions(
            run, is_current=run.id == view.current_run_id, can_query=can_query
        ),
        **failure_fields(run, detail.failures),
    }


def _engine_source(view: RunView) -> str:
    return OWN_ENGINE if view.imported is None else ENGINE_SOURCE


def _origin(imported: RunImport | None) -> JsonObject:
    """Where an imported run comes from; other runs have no such members."""
    if imported is None:
        return {}
    members: JsonObject = {name: getattr(imported, name) for name in COLUMNS}
    return {**members, "imported_at": micro(imported.imported_at)}


def _read(payload: Payload | None, fetched: Fetched) -> Payload | None:
    return None if payload is None else fetched.get(payload, payload)


def _arguments(payload: Payload | None) -> JsonValue:
    """A list of arguments; None when the blob cannot be read (decision 10)."""
    if payload is None:
        return []
    is_readable, value = display(payload)
    if not is_readable or isinstance(value, list):
        return value
    return list(value.values()) if isinstance(value, dict) else [value]


def _value(payload: Payload | None) -> JsonValue:
    return None if payload is None else display(payload)[1]


def _envelope(payload: Payload | None, framing: Framing) -> JsonObject | None:
    return None if payload is None else encode_for(payload, framing)


def _actions(run: Run, *, is_current: bool, can_query: bool) -> JsonObject:
    is_open = is_current and not run.status.is_terminal
    takes_messages = is_open and not is_host(run)
    return {
        "can_signal": takes_messages,
        # Of a closed run, too (decision 17).
        "can_query": can_query,
        "can_update": takes_messages,
        "can_cancel": is_open,
        "can_terminate": is_open,
        "can_repair": is_open,
        "can_archive": run.status.is_terminal and run.archived_at is None,
    }

"""Read a bundle that may be imported."""

from __future__ import annotations

from collections.abc import Iterator

import orjson

from dwserver.engine.imports.records import Bundle, BundleEvent, Lineage
from dwserver.engine.model import Run, RunInput
from dwserver.engine.words import ClosedReason, EventType, RunStatus
from dwserver.protocol.history_bundles.reading import rows
from dwserver.protocol.history_bundles.reading.messages import (
    commands_of,
    signals_of,
    updates_of,
)
from dwserver.protocol.history_bundles.reading.row import MAX_COUNT, Row
from dwserver.protocol.json_types import JsonObject
from dwserver.protocol.payloads.records import AVRO_CODEC

IMPORTED_WORKFLOW = "imported-workflow"
DEFAULT_QUEUE = "default"


def read_bundle(document: JsonObject, *, namespace: str) -> Bundle:
    """The run for ``namespace``. Raises ``InconsistentBundle`` for what is not as it
    should be, with its place in the document."""
    bundle = Row(document, "")
    workflow, payloads = bundle.row("workflow"), bundle.row("payloads")
    codec = payloads.text_or_none("codec") or AVRO_CODEC
    run = _run(workflow, namespace=namespace, codec=codec)
    commands = commands_of(bundle, run)
    by_id = {command.id: command for command in commands}
    tasks = rows.tasks_of(bundle, run)
    return Bundle(
        run=run,
        input=RunInput(
            arguments=payloads.row("arguments").payload("data", codec),
            memo=workflow.kept_map("memo"),
            search_attributes=workflow.kept_map("search_attributes"),
            business_key=workflow.text_or_none("business_key"),
        ),
        output=payloads.row("output").payload("data", codec),
        is_current=workflow.flag("is_current_run"),
        events=tuple(_events(bundle)),
        tasks=tuple(tasks.tasks),
        timer_tasks=tasks.of_timers,
        activities=rows.activities_of(bundle, run),
        attempts=rows.attempts_of(bundle, run),
        timers=rows.timers_of(bundle, run),
        children=rows.child_statuses_of(bundle),
        commands=commands,
        signals=signals_of(bundle, run, by_id),
        updates=updates_of(bundle, run, by_id),
        failures=rows.failures_of(bundle, run),
        lineage=_lineage(bundle.row("links")),
    )


def _run(workflow: Row, *, namespace: str, codec: str) -> Run:
    status = workflow.word("status", RunStatus, default=RunStatus.RUNNING)
    started_at = workflow.instant("started_at", "last_progress_at")
    last_progress_at = workflow.instant_or_none("last_progress_at")
    closed_at = workflow.instant_or_none("closed_at")
    named = workflow.text_or_none("workflow_type") or workflow.text_or_none(
        "workflow_class"
    )
    if status.is_terminal:
        closed_at = closed_at or last_progress_at or started_at
    return Run(
        id=workflow.text("run_id"),
        namespace=namespace,
        workflow_id=workflow.text("instance_id"),
        workflow_type=named or IMPORTED_WORKFLOW,
        run_number=workflow.integer(
            "run_number", default=1, minimum=1, maximum=MAX_COUNT
        ),
        status=status,
        task_queue=workflow.text_or_none("queue") or DEFAULT_QUEUE,
        payload_codec=codec,
        started_at=started_at,
        last_progress_at=last_progress_at or closed_at or started_at,
        last_sequence=workflow.integer("last_history_sequence", default=0),
        closed_reason=_closed_reason(workflow, status),
        closed_at=closed_at if status.is_terminal else None,
        compatibility=workflow.text_or_none("compatibility"),
        archived_at=workflow.instant_or_none("archived_at"),
    )


def _closed_reason(workflow: Row, status: RunStatus) -> ClosedReason | None:
    """The status of a closed run is a reason as well."""
    if not status.is_terminal:
        return None
    return workflow.word(
        "closed_reason", ClosedReason, default=ClosedReason(status.value)
    )


def _events(bundle: Row) -> Iterator[BundleEvent]:
    for row in bundle.rows("history_events"):
        payload = row.map("payload")
        yield BundleEvent(
            id=row.text("id"),
            sequence=row.integer("sequence", minimum=1),
            event_type=row.word("type", EventType),
            payload=payload,
            text=orjson.dumps(payload),
            recorded_at=row.instant("recorded_at"),
            task_id=row.text_or_none("workflow_task_id"),
            command_id=row.text_or_none("workflow_command_id"),
        )


def _lineage(links: Row) -> Lineage:
    parents = {row.value("type"): row for row in links.rows("parents")}
    continued, parent = parents.get("continue_as_new"), parents.get("child_workflow")
    return Lineage(
        continued_from_run_id=_parent_run(continued),
        parent_run_id=_parent_run(parent),
        parent_step=parent.integer_or_none("sequence") if parent else None,
    )


def _parent_run(link: Row | None) -> str | None:
    return link.text_or_none("parent_workflow_run_id") if link else None

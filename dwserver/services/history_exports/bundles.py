"""The document of an export, put together from what was collected (§2.1–2.5)."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import orjson

from dwserver.engine.liveness import liveness, next_task
from dwserver.engine.model import ClosedAttempt, Command, RunState, Task
from dwserver.engine.run_waits import waiting_for
from dwserver.engine.wire_time import micro, micro_or_none
from dwserver.engine.words import CommandOutcome, Liveness, UpdateStatus
from dwserver.protocol.history_bundles.integrity import SigningKey, integrity_of
from dwserver.protocol.history_bundles.payloads import (
    codec_schemas,
    payload_manifest,
)
from dwserver.protocol.history_events import with_blobs
from dwserver.protocol.json_types import JsonObject, JsonValue
from dwserver.protocol.payloads.framing import Framing, display
from dwserver.protocol.schemas import HISTORY_EXPORT
from dwserver.services.history_exports import rows
from dwserver.services.history_exports.activities import activity_row
from dwserver.services.history_exports.collecting import Collected
from dwserver.services.history_exports.timeline import timeline_entry, wait_rows
from dwserver.store.api import StoredEvent


@dataclass(frozen=True, slots=True, kw_only=True)
class BundleFacts:
    """What a bundle says besides the run. ``framing``: of values that came
    unencoded."""

    source_runtime: str
    source_process_class: str
    framing: Framing
    key: SigningKey | None


def build_bundle(found: Collected, facts: BundleFacts, *, now: int) -> JsonObject:
    """The whole document, ``integrity`` last.

    What was refused and left no event is no part of it: verifiers doubt a history that
    says nothing of a settled command (§3.5).
    """
    view = found.detail.view
    run, framing = view.run, facts.framing
    events = [_event(event, framing) for event in found.events]
    named = {event.command_id for event in found.events}
    commands = {
        command.sequence: command
        for command in found.whole.commands
        if command.rejection_reason is None or command.id in named
    }
    archive = _archive(found.whole.commands)
    steps = found.whole.rows
    tasks = {task.activity_id: task for task in found.tasks}
    bundle: JsonObject = {
        "schema": HISTORY_EXPORT.name,
        "schema_version": HISTORY_EXPORT.version,
        "exported_at": micro(now),
        "dedupe_key": f"{run.id}:{run.last_sequence}:{micro(run.last_progress_at)}",
        "history_complete": run.status.is_terminal,
        "workflow": _workflow(found, facts, archive),
        "payloads": _payloads(found, framing),
        "summary": _summary(found, archive, now=now),
        "selected_run": {
            "waits_projection_source": "workflow_run_waits_rebuilt",
            "timeline_projection_source": "workflow_run_timeline_entries_rebuilt",
            "timers_projection_source": "workflow_run_timer_entries_rebuilt",
            "timers_projection_rebuild_reasons": [],
            "lineage_projection_source": "workflow_run_lineage_entries_rebuilt",
        },
        "history_events": events,
        "waits": wait_rows(steps, tasks),
        "timeline": [timeline_entry(event, run.id) for event in events],
        "linked_intakes_scope": "selected_run",
        "linked_intakes": _intakes(found.whole.commands),
        "commands": [rows.command_row(each, framing) for each in commands.values()],
        "signals": [
            rows.signal_row(each, commands.get(each.sequence), framing)
            for each in steps.signals.values()
        ],
        "updates": [
            rows.update_row(each, commands.get(each.sequence), framing)
            for each in steps.updates.values()
            if each.status is not UpdateStatus.REJECTED or each.command_id in named
        ],
        "tasks": [rows.task_row(task) for task in found.tasks],
        "activities": _activities(found, events, tasks),
        "timers": [
            rows.timer_row(timer, steps.waits.get(timer.step))
            for timer in steps.timers.values()
        ],
        "failures": [rows.failure_row(failure) for failure in found.failures],
        "links": rows.link_rows(
            run,
            steps.children.values(),
            events,
            parent_workflow_id=found.parent_workflow_id,
        ),
        "redaction": {"applied": False, "policy": None, "paths": []},
        "codec_schemas": codec_schemas(),
    }
    bundle["payload_manifest"] = payload_manifest(bundle)
    # Hashed as it is read again: words are texts, tuples are lists.
    plain: JsonObject = orjson.loads(orjson.dumps(bundle))
    plain["integrity"] = integrity_of(plain, facts.key)
    return plain


def _event(event: StoredEvent, framing: Framing) -> JsonObject:
    text = with_blobs(event.payload, framing) if event.has_plain else event.payload
    payload = orjson.loads(text)
    return {
        "id": event.id,
        "sequence": event.sequence,
        "type": event.event_type,
        "workflow_task_id": event.task_id,
        "workflow_command_id": event.command_id,
        "recorded_at": micro(event.recorded_at),
        # Empty maps are empty lists in bundles; what users put deeper is left alone.
        "payload": {k: [] if v == {} else v for k, v in payload.items()} or [],
    }


def _archive(commands: Iterable[Command]) -> JsonObject:
    done = (c for c in commands if c.outcome == CommandOutcome.ARCHIVED)
    first = next(done, None)
    noted = display(first.payload)[1] if first and first.payload else None
    given = noted if isinstance(noted, dict) else {}
    return {
        "archive_command_id": first.id if first else None,
        "archive_reason": given.get("reason"),
    }


def _workflow(found: Collected, facts: BundleFacts, archive: JsonObject) -> JsonObject:
    view = found.detail.view
    run = view.run
    return {
        "instance_id": run.workflow_id,
        "run_id": run.id,
        "run_number": run.run_number,
        "is_current_run": run.id == view.current_run_id,
        "current_run_id": view.current_run_id,
        "current_run_source": (
            "continue_as_new_lineage" if view.run_count > 1 else "run_order_fallback"
        ),
        "workflow_type": run.workflow_type,
        "workflow_class": run.workflow_type,
        "source_runtime": facts.source_runtime,
        "source_process_class": facts.source_process_class,
        "business_key": view.input.business_key,
        "visibility_labels": [],
        "memo": rows.map_or_list(view.input.memo),
        "search_attributes": rows.map_or_list(view.input.search_attributes),
        "status": run.status,
        "status_bucket": run.status.bucket,
        "closed_reason": run.closed_reason,
        "archived_at": micro_or_none(run.archived_at),
        **archive,
        "compatibility": run.compatibility,
        "connection": None,
        "queue": run.task_queue,
        "last_history_sequence": run.last_sequence,
        "started_at": micro(run.started_at),
        "closed_at": micro_or_none(run.closed_at),
        "last_progress_at": micro(run.last_progress_at),
    }


def _payloads(found: Collected, framing: Framing) -> JsonObject:
    view = found.detail.view
    slots: JsonObject = {
        name: {
            "available": payload is not None,
            "data": rows.data_of(payload, framing),
        }
        for name, payload in (
            ("arguments", view.input.arguments),
            ("output", view.output),
        )
    }
    return {"codec": view.run.payload_codec, **slots}


def _summary(found: Collected, archive: JsonObject, *, now: int) -> JsonObject:
    view = found.detail.view
    run, state = view.run, found.detail.state or RunState(view.run)
    is_open = not run.status.is_terminal
    wait_kind, wait_reason = (waiting_for(state) if is_open else None) or (None, None)
    task = next_task(state) if is_open else None
    deadlines = [timer.fire_at for timer in state.timers.values() if timer.is_open]
    alive = liveness(state, now=now)
    ends_at = run.last_progress_at if run.closed_at is None else run.closed_at
    started_at = micro(run.started_at)
    return {
        "status": run.status,
        "status_bucket": run.status.bucket,
        "closed_reason": run.closed_reason,
        "archived_at": micro_or_none(run.archived_at),
        **archive,
        "business_key": view.input.business_key,
        "visibility_labels": [],
        "search_attributes": rows.map_or_list(view.input.search_attributes),
        "is_current_run": run.id == view.current_run_id,
        "started_at": started_at,
        "closed_at": micro_or_none(run.closed_at),
        "duration_ms": None if is_open else (ends_at - run.started_at) // 1000,
        "wait_kind": wait_kind,
        "wait_reason": wait_reason,
        "wait_started_at": micro(run.last_progress_at) if wait_kind else None,
        "wait_deadline_at": micro_or_none(min(deadlines, default=None)),
        **rows.wait_of_task(task),
        "next_task_at": micro(task.available_at) if task else None,
        "next_task_id": task.id if task else None,
        "next_task_type": task.kind if task else None,
        "next_task_status": task.status if task else None,
        "next_task_lease_expires_at": (
            micro_or_none(task.lease_expires_at) if task else None
        ),
        "liveness_state": alive,
        "liveness_reason": None,
        "repair_attention": alive is Liveness.REPAIR_NEEDED,
        "task_problem": alive is Liveness.REPAIR_NEEDED,
        "task_problem_badge": None,
        "exception_count": len(found.failures),
        "history_event_count": run.last_sequence,
        "history_size_bytes": run.history_bytes,
        "history_fan_out": run.batch_size,
        "continue_as_new_recommended": False,
        "history_budget_pressure": "ok",
        "sort_timestamp": started_at,
        "sort_key": f"{started_at}#{run.id}",
    }


def _activities(
    found: Collected, events: list[JsonObject], tasks: Mapping[str | None, Task]
) -> list[JsonObject]:
    of_activity: dict[str, list[JsonObject]] = defaultdict(list)
    for event in events:
        activity_id = (event["payload"] or {}).get("activity_execution_id")
        if activity_id is not None:
            of_activity[activity_id].append(event)
    attempts: dict[str, list[ClosedAttempt]] = defaultdict(list)
    for attempt in found.attempts:
        attempts[attempt.activity_id].append(attempt)
    return [
        activity_row(
            activity,
            events=of_activity[activity.id],
            attempts=attempts[activity.id],
            tasks=tasks,
        )
        for activity in found.whole.rows.activities.values()
    ]


def _intakes(commands: Iterable[Command]) -> list[JsonObject]:
    """Requests that brought more than one command."""
    groups: dict[str, list[Command]] = defaultdict(list)
    modes: dict[str, str] = {}
    for command in commands:
        intake: Any = command.context.get("intake")
        if isinstance(intake, Mapping):
            groups[intake["group_id"]].append(command)
            modes[intake["group_id"]] = intake["mode"]
    return [
        _intake(group_id, modes[group_id], members)
        for group_id, members in groups.items()
    ]


def _intake(group_id: str, mode: str, members: list[Command]) -> JsonObject:
    start = next((c for c in members if c.command_type == "start"), None)
    primary = next((c for c in members if c.command_type != "start"), members[0])
    return {
        "group_id": group_id,
        "mode": mode,
        "source": "control_plane",
        "complete": start is not None and primary is not start,
        "missing_expected_command_types": [] if start else ["start"],
        "command_count": len(members),
        "command_ids": [command.id for command in members],
        "command_sequences": [command.sequence for command in members],
        "start_command_id": start.id if start else None,
        "start_command_sequence": start.sequence if start else None,
        "start_command_status": start.status if start else None,
        "start_outcome": start.outcome if start else None,
        "primary_command_id": primary.id,
        "primary_command_sequence": primary.sequence,
        "primary_command_type": primary.command_type,
        "primary_command_status": primary.status,
        "primary_outcome": primary.outcome or None,
        "commands": [_brief(command) for command in members],
    }


def _brief(command: Command) -> JsonValue:
    return {
        "id": command.id,
        "sequence": command.sequence,
        "type": command.command_type,
        "status": command.status,
        "outcome": command.outcome or None,
        "target_scope": "instance",
        "requested_run_id": None,
        "resolved_run_id": command.run_id,
        "target_name": command.target_name,
    }

"""Why a run stands where it stands (``spec/control-plane-api.md`` §5.5)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Final, TypeAlias

from dwserver.engine.events import present
from dwserver.engine.liveness import has_lost_its_holder, is_overdue, liveness
from dwserver.engine.model import Activity, Failure, Task
from dwserver.engine.run_waits import waiting_for
from dwserver.engine.wakes import unserved_cause
from dwserver.engine.wire_time import micro, micro_or_none
from dwserver.engine.words import Liveness, TaskKind, TaskStatus
from dwserver.http.control_plane.debug_shapes import (
    DiagnosticStatus,
    FindingCode,
    TransportState,
)
from dwserver.http.control_plane.fleet import Fleet
from dwserver.http.control_plane.next_events import last_event, next_scheduled_event
from dwserver.protocol.json_types import JsonObject
from dwserver.protocol.payloads.framing import Framing
from dwserver.services.run_diagnosis import RunDiagnosis

MAX_LISTED: Final = 25
MAX_FAILURES: Final = 10

_BLOCKED: Final[Mapping[Liveness, Liveness]] = MappingProxyType(
    {
        Liveness.WORKFLOW_TASK_READY: Liveness.WORKFLOW_TASK_BLOCKED,
        Liveness.ACTIVITY_TASK_READY: Liveness.ACTIVITY_TASK_BLOCKED,
    }
)
_REASONS: Final[Mapping[Liveness, str]] = MappingProxyType(
    {
        Liveness.CLOSED: "The run is closed.",
        Liveness.REPAIR_NEEDED: "A task of the run is missing, or its lease is over.",
        Liveness.WORKFLOW_TASK_BLOCKED: (
            "No live worker has the run's build id and definition."
        ),
        Liveness.WORKFLOW_TASK_LEASED: "A worker holds the workflow task.",
        Liveness.WORKFLOW_TASK_READY: "The workflow task waits for a worker.",
        Liveness.ACTIVITY_TASK_BLOCKED: "No live worker has the run's build id.",
        Liveness.ACTIVITY_TASK_LEASED: "A worker holds the activity task.",
        Liveness.ACTIVITY_TASK_READY: "The activity task waits for a worker.",
        Liveness.TIMER_SCHEDULED: "The run waits for a timer.",
        Liveness.WAITING_FOR_CONDITION: "The run waits for a condition.",
        Liveness.WAITING_FOR_SIGNAL: "The run waits for a signal.",
        Liveness.WAITING_FOR_CHILD: "The run waits for a child workflow.",
    }
)
_SUMMARIES: Final[Mapping[TransportState, str]] = MappingProxyType(
    {
        "leased": "A worker holds the task.",
        "lease_expired": "The lease is over and the task has not been taken back yet.",
        "scheduled": "The task becomes available later.",
        "dispatch_overdue": "The task has waited long for a worker.",
        "ready": "The task waits for a worker.",
        "missing": "The run should have this task and does not.",
    }
)
# What the badge of a problem says: code → label, description.
_PROBLEMS: Final[Mapping[str, tuple[str, str]]] = MappingProxyType(
    {
        "repair_needed": ("Repair needed", _REASONS[Liveness.REPAIR_NEEDED]),
        "compatibility_blocked": (
            "No compatible worker",
            _REASONS[Liveness.WORKFLOW_TASK_BLOCKED],
        ),
        "task_failing": ("Task fails", "The workflow task has failed again and again."),
    }
)

Problem: TypeAlias = str | None


def debug_body(
    found: RunDiagnosis,
    fleet: Fleet,
    queue: JsonObject,
    *,
    framing: Framing,
    has_preview: bool,
) -> JsonObject:
    """Everything but the workers of the namespace. ``queue``: the run's, as shown;
    ``has_preview``: the payload of the last event is asked for."""
    run = found.detail.view.run
    state = _liveness(found, fleet)
    problem = _problem(found, state)
    waiting = waiting_for(found.state) if not run.status.is_terminal else None
    wait_kind, wait_reason = waiting or (None, None)
    tasks = _pending_tasks(found, fleet)
    activities = _pending_activities(found)
    failures = found.detail.failures[:MAX_FAILURES]
    execution = {
        "status": run.status,
        "status_bucket": run.status.bucket,
        "is_terminal": run.status.is_terminal,
        "workflow_type": run.workflow_type,
        "task_queue": run.task_queue,
        "compatibility": run.compatibility,
        "run_number": run.run_number,
        "started_at": micro(run.started_at),
        "closed_at": micro_or_none(run.closed_at),
        "last_progress_at": micro(run.last_progress_at),
        "wait_kind": wait_kind,
        "wait_reason": wait_reason,
        "liveness_state": state,
        "liveness_reason": _REASONS[state],
        "repair_attention": state is Liveness.REPAIR_NEEDED,
        "task_problem": problem is not None,
        "task_problem_badge": _badge(problem),
        "last_event": last_event(found.last_event, framing, has_preview=has_preview),
        "next_scheduled_event": next_scheduled_event(found.state),
    }
    has_work = bool(tasks or activities)
    return {
        "generated_at": micro(found.now),
        "workflow_id": run.workflow_id,
        "run_id": run.id,
        "namespace": run.namespace,
        "diagnostic_status": _status(found, problem, wait_kind, has_work=has_work),
        "execution": present(execution),
        "pending_workflow_tasks": tasks,
        "pending_activities": activities,
        "task_queue": queue,
        "recent_failures": [_failure_view(failure) for failure in failures],
        "findings": _findings(found, fleet, queue, state, has_work=has_work),
    }


def _liveness(found: RunDiagnosis, fleet: Fleet) -> Liveness:
    state = liveness(found.state, now=found.now)
    if _marker_gap(found, fleet) is not None:
        return _BLOCKED.get(state, state)
    if found.lacks_definition and state is Liveness.WORKFLOW_TASK_READY:
        return Liveness.WORKFLOW_TASK_BLOCKED
    return state


def _marker_gap(found: RunDiagnosis, fleet: Fleet) -> str | None:
    """Why no live worker has the run's build id."""
    gap: str | None = fleet.fields(found.detail.view.run)["compatibility_fleet_reason"]
    return gap


def _worker_gap(found: RunDiagnosis, fleet: Fleet) -> str | None:
    """Why no live worker may have a workflow task of the run."""
    gap, run = _marker_gap(found, fleet), found.detail.view.run
    if gap is None and found.lacks_definition:
        return (
            f"No active worker of [{run.task_queue}] has the definition of "
            f"[{run.workflow_type}] that the run began with "
            f"[{run.definition_fingerprint}]."
        )
    return gap


def _problem(found: RunDiagnosis, state: Liveness) -> Problem:
    if state is Liveness.REPAIR_NEEDED:
        return "repair_needed"
    if state in _BLOCKED.values():
        return "compatibility_blocked"
    run = found.detail.view.run
    return "task_failing" if run.task_failures and not run.status.is_terminal else None


def _badge(problem: Problem) -> JsonObject | None:
    if problem is None:
        return None
    label, description = _PROBLEMS[problem]
    return {
        "code": problem,
        "label": label,
        "description": description,
        "tone": "warning",
        "badge_visible": True,
    }


def _status(
    found: RunDiagnosis, problem: Problem, wait_kind: str | None, *, has_work: bool
) -> DiagnosticStatus:
    if found.detail.view.run.status.is_terminal:
        return "terminal"
    if problem is not None:
        return "needs_attention"
    if has_work:
        return "pending_work"
    if wait_kind is not None:
        return "waiting"
    backlog = found.queue.view.backlog.loads.values()
    return "queue_backlog" if any(load.ready for load in backlog) else "running"


# tasks -------------------------------------------------------------------------------


def _pending_tasks(found: RunDiagnosis, fleet: Fleet) -> list[JsonObject]:
    run, rows = found.detail.view.run, found.state.tasks.values()
    tasks = [task for task in rows if task.kind is TaskKind.WORKFLOW]
    tasks.sort(key=lambda task: (task.available_at, task.created_at, task.id))
    views = [_task_view(found, task, fleet) for task in tasks[:MAX_LISTED]]
    if not run.status.is_terminal and unserved_cause(found.state) is not None:
        views.append(_missing_task(found))
    return views


def _task_view(found: RunDiagnosis, task: Task, fleet: Fleet) -> JsonObject:
    state = _transport(found, task)
    why_not = _worker_gap(found, fleet)
    is_fit = why_not is None
    return present(
        {
            "task_id": task.id,
            "task_type": task.kind,
            "status": task.status,
            "transport_state": state,
            "summary": _SUMMARIES[state],
            "queue": task.queue,
            "compatibility": task.compatibility,
            "compatibility_supported": is_fit,
            "compatibility_reason": why_not,
            "compatibility_supported_in_fleet": is_fit,
            "compatibility_fleet_reason": why_not,
            "available_at": micro(task.available_at),
            "leased_at": micro_or_none(task.leased_at),
            "lease_owner": task.lease_owner,
            "lease_expires_at": micro_or_none(task.lease_expires_at),
            "lease_expired": state == "lease_expired",
            "attempt_count": task.attempt,
            "repair_count": task.repair_count,
            "dispatch_failed": False,
            "dispatch_overdue": state == "dispatch_overdue",
            "claim_failed": False,
            "last_error": task.last_error,
            "workflow_wait_kind": task.resume.get("workflow_wait_kind"),
            "workflow_open_wait_id": task.resume.get("open_wait_id"),
            "workflow_resume_source_kind": task.resume.get("resume_source_kind"),
            "workflow_resume_source_id": task.resume.get("resume_source_id"),
            "replay_blocked": False,
            "task_missing": False,
            "synthetic": False,
        }
    )


def _transport(found: RunDiagnosis, task: Task) -> TransportState:
    if task.status is TaskStatus.LEASED:
        is_lost = has_lost_its_holder(task, now=found.now)
        return "lease_expired" if is_lost else "leased"
    if task.available_at > found.now:
        return "scheduled"
    after = found.queue.view.overdue_after
    return (
        "dispatch_overdue" if is_overdue(task, now=found.now, after=after) else "ready"
    )


def _missing_task(found: RunDiagnosis) -> JsonObject:
    run = found.detail.view.run
    task_id = f"missing:workflow:{run.id}"
    return {
        "task_id": task_id,
        "task_type": TaskKind.WORKFLOW,
        "status": "missing",
        "transport_state": "missing",
        "summary": _SUMMARIES["missing"],
        "queue": run.task_queue,
        "lease_expired": False,
        "attempt_count": 0,
        "repair_count": 0,
        "dispatch_failed": False,
        "dispatch_overdue": False,
        "claim_failed": False,
        "replay_blocked": False,
        "task_missing": True,
        "expected_task_id": task_id,
        "synthetic": True,
    }


# activities --------------------------------------------------------------------------


def _pending_activities(found: RunDiagnosis) -> list[JsonObject]:
    activities = [each for each in found.state.activities.values() if each.is_open]
    activities.sort(key=lambda each: (each.started_at or 0, each.step, each.id))
    tasks = {task.activity_id: task for task in found.state.tasks.values()}
    return [
        _activity_view(each, tasks.get(each.id), now=found.now)
        for each in activities[:MAX_LISTED]
    ]


def _activity_view(activity: Activity, task: Task | None, *, now: int) -> JsonObject:
    """Of the attempts the one that runs, if one does."""
    attempt = None
    if task is not None and task.attempt_id is not None:
        attempt = present(
            {
                "activity_attempt_id": task.attempt_id,
                "attempt_number": task.attempt,
                "status": "running",
                "lease_owner": task.lease_owner,
                "started_at": micro_or_none(task.leased_at),
                "last_heartbeat_at": micro_or_none(activity.last_heartbeat_at),
                "lease_expires_at": micro_or_none(task.lease_expires_at),
                "lease_expired": has_lost_its_holder(task, now=now),
            }
        )
    return present(
        {
            "activity_execution_id": activity.id,
            "activity_type": activity.activity_type,
            "activity_class": activity.activity_type,
            "status": activity.status,
            "queue": activity.queue,
            "attempt_count": activity.attempt_count,
            "current_attempt_id": task.attempt_id if task else None,
            "started_at": micro_or_none(activity.started_at),
            "last_heartbeat_at": micro_or_none(activity.last_heartbeat_at),
            "schedule_deadline_at": micro_or_none(activity.schedule_deadline_at),
            "close_deadline_at": micro_or_none(activity.close_deadline_at),
            "schedule_to_close_deadline_at": micro_or_none(
                activity.schedule_to_close_deadline_at
            ),
            "heartbeat_deadline_at": micro_or_none(activity.heartbeat_deadline_at),
            "current_attempt": attempt,
        }
    )


def _failure_view(failure: Failure) -> JsonObject:
    return {
        "failure_id": failure.id,
        "source_kind": failure.source_kind,
        "source_id": failure.source_id,
        "propagation_kind": failure.propagation_kind,
        "failure_category": failure.category,
        "exception_class": failure.exception_class,
        "message": failure.message,
        "non_retryable": failure.non_retryable,
        "handled": failure.propagation_kind != "terminal",
        "created_at": micro(failure.created_at),
    }


# findings ----------------------------------------------------------------------------


def _findings(
    found: RunDiagnosis,
    fleet: Fleet,
    queue: JsonObject,
    state: Liveness,
    *,
    has_work: bool,
) -> Sequence[JsonObject]:
    tasks = found.state.tasks.values()
    problem = _problem(found, state)
    listed: list[tuple[FindingCode, bool, str]] = [
        (
            "no_active_pollers",
            has_work and queue["stats"]["pollers"]["active_count"] == 0,
            "The run has work to do and no live worker is registered for its queue.",
        ),
        (
            "no_compatible_worker_for_task",
            state in _BLOCKED.values(),
            _worker_gap(found, fleet) or "",
        ),
        (
            "expired_leases",
            any(has_lost_its_holder(task, now=found.now) for task in tasks),
            "A worker has kept a task of the run longer than its lease.",
        ),
        (
            "task_problem",
            problem is not None,
            _PROBLEMS[problem][1] if problem else "",
        ),
        (
            "repair_attention",
            state is Liveness.REPAIR_NEEDED,
            "A repair of the run would make or take back a task.",
        ),
    ]
    return [
        {"severity": "warning", "code": code, "message": message}
        for code, applies, message in listed
        if applies
    ]

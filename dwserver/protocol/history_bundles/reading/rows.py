"""Activities, tasks, timers and failures of a bundle (§2.8–2.10)."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

from dwserver.engine.imports.payload_fields import retry_policy_of
from dwserver.engine.model import (
    Activity,
    ClosedAttempt,
    Failure,
    Run,
    Task,
    Timer,
)
from dwserver.engine.transition import NewActivity
from dwserver.engine.words import (
    ActivityStatus,
    AttemptStatus,
    ChildStatus,
    FailureCategory,
    RunStatus,
    TaskKind,
    TaskStatus,
    TimerKind,
    TimerStatus,
)
from dwserver.protocol.history_bundles.reading.row import MAX_COUNT, Row

IMPORTED_ACTIVITY = "imported-activity"

_CHILD_STATUS = {
    RunStatus.COMPLETED.value: ChildStatus.COMPLETED,
    RunStatus.FAILED.value: ChildStatus.FAILED,
    RunStatus.CANCELLED.value: ChildStatus.CANCELLED,
    RunStatus.TERMINATED.value: ChildStatus.TERMINATED,
    ChildStatus.ABANDONED.value: ChildStatus.ABANDONED,
}


def activities_of(bundle: Row, run: Run) -> tuple[NewActivity, ...]:
    """Their batches, groups and digests are for the history to tell."""
    return tuple(_activity(row, run) for row in bundle.rows("activities"))


def _activity(row: Row, run: Run) -> NewActivity:
    codec = row.text_or_none("payload_codec") or run.payload_codec
    named = row.text_or_none("activity_type") or row.text_or_none("activity_class")
    activity = Activity(
        id=row.text("id"),
        run_id=run.id,
        step=row.integer("sequence", minimum=1),
        batch=0,
        activity_type=named or IMPORTED_ACTIVITY,
        status=row.word("status", ActivityStatus),
        queue=row.text_or_none("queue") or run.task_queue,
        payload_codec=codec,
        digest="",
        created_at=row.instant("created_at", "started_at"),
        attempt_count=row.count("attempt_count"),
        retry_policy=retry_policy_of(row.map("retry_policy")),
        last_heartbeat_at=row.instant_or_none("last_heartbeat_at"),
        started_at=row.instant_or_none("started_at"),
        closed_at=row.instant_or_none("closed_at"),
    )
    return NewActivity(activity, row.payload("arguments", codec))


def attempts_of(bundle: Row, run: Run) -> tuple[ClosedAttempt, ...]:
    return tuple(
        ClosedAttempt(
            id=row.text("id"),
            activity_id=activity.text("id"),
            task_id=row.text_or_none("workflow_task_id") or "",
            run_id=run.id,
            number=row.integer("attempt_number", minimum=1, maximum=MAX_COUNT),
            status=row.word("status", AttemptStatus),
            lease_owner=row.text_or_none("lease_owner") or "",
            started_at=row.instant("started_at", "closed_at"),
            closed_at=row.instant("closed_at", "started_at"),
        )
        for activity in bundle.rows("activities")
        for row in activity.rows("attempts")
    )


@dataclass(slots=True)
class Tasks:
    """``of_timers``: ids of the tasks of timers, by the ids of these."""

    tasks: list[Task] = field(default_factory=list)
    of_timers: dict[str, str] = field(default_factory=dict)


def tasks_of(bundle: Row, run: Run) -> Tasks:
    found = Tasks()
    for row in bundle.rows("tasks"):
        if row.text("type") == "timer":
            # Timers fire by themselves here.
            timer_id = row.map("payload").get("timer_id")
            if isinstance(timer_id, str):
                found.of_timers[timer_id] = row.text("id")
            continue
        found.tasks.append(_task(row, run))
    return found


def _task(row: Row, run: Run) -> Task:
    kind, payload = row.word("type", TaskKind), row.kept_map("payload")
    activity_id = payload.get("activity_execution_id")
    is_of_workflow = kind is TaskKind.WORKFLOW
    if not is_of_workflow and not isinstance(activity_id, str):
        raise row.problem("payload.activity_execution_id", "is missing")
    status = row.word("status", TaskStatus)
    is_ready = status is TaskStatus.READY
    return Task(
        id=row.text("id"),
        run_id=run.id,
        namespace=run.namespace,
        kind=kind,
        status=status,
        queue=row.text_or_none("queue") or run.task_queue,
        type_name="",
        available_at=row.instant("available_at", "created_at"),
        created_at=row.instant("created_at", "available_at"),
        compatibility=row.text_or_none("compatibility") or run.compatibility,
        attempt=row.count("attempt_count"),
        repair_count=row.count("repair_count"),
        lease_owner=None if is_ready else row.text_or_none("lease_owner"),
        leased_at=None if is_ready else row.instant_or_none("leased_at"),
        resume=payload if is_of_workflow else {},
        activity_id=None if is_of_workflow else str(activity_id),
    )


def timers_of(bundle: Row, run: Run) -> tuple[Timer, ...]:
    return tuple(_timers(bundle, run))


def _timers(bundle: Row, run: Run) -> Iterator[Timer]:
    for row in bundle.rows("timers"):
        status = row.word("status", TimerStatus)
        closed_at = row.instant_or_none("fired_at")
        if status is TimerStatus.CANCELLED:
            closed_at = row.instant_or_none("cancelled_at")
        fire_at = row.instant("fire_at")
        yield Timer(
            id=row.text("id"),
            run_id=run.id,
            step=row.integer("sequence", minimum=1),
            batch=0,
            status=status,
            delay_seconds=row.integer("delay_seconds", default=0),
            fire_at=fire_at,
            task_id="",
            created_at=row.instant("created_at", "fire_at"),
            kind=row.word("timer_kind", TimerKind, default=TimerKind.PLAIN),
            closed_at=None if status is TimerStatus.PENDING else closed_at or fire_at,
        )


def child_statuses_of(bundle: Row) -> dict[int, ChildStatus]:
    """By step, as far as the links know that a child has ended."""
    found: dict[int, ChildStatus] = {}
    for row in bundle.row("links").rows("children"):
        if row.value("type") != "child_workflow":
            continue
        status = _CHILD_STATUS.get(row.text_or_none("status") or "")
        step = row.integer_or_none("sequence")
        if status is not None and step is not None:
            found[step] = status
    return found


def failures_of(bundle: Row, run: Run) -> tuple[Failure, ...]:
    return tuple(_failure(row, run) for row in bundle.rows("failures"))


def _failure(row: Row, run: Run) -> Failure:
    return Failure(
        id=row.text("id"),
        run_id=run.id,
        source_kind=row.text_or_none("source_kind") or "workflow_run",
        source_id=row.text_or_none("source_id") or run.id,
        propagation_kind=row.text_or_none("propagation_kind") or "terminal",
        category=row.word(
            "failure_category", FailureCategory, default=FailureCategory.APPLICATION
        ),
        message=row.prose_or_none("message") or "",
        created_at=row.instant_or_none("created_at") or run.last_progress_at,
        exception_type=row.prose_or_none("exception_type"),
        exception_class=row.prose_or_none("exception_class"),
        non_retryable=row.flag("non_retryable"),
    )

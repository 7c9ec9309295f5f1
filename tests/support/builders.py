"""Records and transitions with sensible values; a test names what it is about.

Ids are unique within the process and sort in the order of their making.
"""

from __future__ import annotations

from dataclasses import replace
from itertools import count
from typing import Any

from dwserver.engine.model import (
    Activity,
    Child,
    ClosedAttempt,
    Command,
    Event,
    Failure,
    Instance,
    OutboxEntry,
    Payload,
    Run,
    RunInput,
    RunState,
    Signal,
    Task,
    Timer,
    Update,
    Wait,
)
from dwserver.engine.model.schedules import (
    OverlapPolicy,
    Schedule,
    ScheduleEvent,
    ScheduleEventType,
    ScheduleStatus,
)
from dwserver.engine.transition import (
    NewActivity,
    RunChange,
    ScheduleChange,
    Transition,
)
from dwserver.engine.words import (
    ActivityStatus,
    AttemptStatus,
    ChildStatus,
    CommandStatus,
    CommandType,
    FailureCategory,
    OutboxKind,
    RunStatus,
    SignalStatus,
    TaskKind,
    TaskStatus,
    TimerStatus,
    UpdateStatus,
    WaitFor,
    WaitStatus,
)
from dwserver.store.api import LeaseRenewal, Namespace, WorkerRegistration

NOON = 1_776_081_600_000_000
"""When everything happens unless a test says otherwise: 2026-04-13 12:00 UTC."""
SECOND = 1_000_000

_numbers = count(1)


def an_id(kind: str = "id") -> str:
    return f"{kind}-{next(_numbers):08d}"


def a_run(**fields: Any) -> Run:
    """A new run; ``last_sequence`` counts the events of :func:`a_start_transition`."""
    values: dict[str, Any] = {
        "id": an_id("run"),
        "namespace": "default",
        "workflow_id": an_id("workflow"),
        "workflow_type": "orders.Ship",
        "run_number": 1,
        "status": RunStatus.PENDING,
        "task_queue": "orders",
        "payload_codec": "avro",
        "started_at": NOON,
        "last_progress_at": NOON,
        "last_sequence": 2,
        "command_sequence": 1,
        **fields,
    }
    return Run(**values)


def a_task(run: Run, **fields: Any) -> Task:
    """A ready workflow task of the run."""
    values: dict[str, Any] = {
        "id": an_id("task"),
        "run_id": run.id,
        "namespace": run.namespace,
        "kind": TaskKind.WORKFLOW,
        "status": TaskStatus.READY,
        "queue": run.task_queue,
        "type_name": run.workflow_type,
        "available_at": NOON,
        "created_at": NOON,
        **fields,
    }
    return Task(**values)


def leased(task: Task, *, owner: str = "worker-1", until: int = NOON + SECOND) -> Task:
    """The task as it is while ``owner`` holds it."""
    return replace(
        task,
        status=TaskStatus.LEASED,
        attempt=task.attempt + 1,
        lease_owner=owner,
        leased_at=NOON,
        lease_expires_at=until,
    )


def an_activity(run: Run, *, step: int, **fields: Any) -> Activity:
    """A pending activity, alone in its batch."""
    values: dict[str, Any] = {
        "id": an_id("activity"),
        "run_id": run.id,
        "step": step,
        "batch": step,
        "activity_type": "orders.Charge",
        "status": ActivityStatus.PENDING,
        "queue": run.task_queue,
        "payload_codec": run.payload_codec,
        "digest": f"digest-{step}",
        "created_at": NOON,
        **fields,
    }
    return Activity(**values)


def an_activity_task(activity: Activity, run: Run, **fields: Any) -> Task:
    """The ready task of an activity."""
    values: dict[str, Any] = {
        "kind": TaskKind.ACTIVITY,
        "queue": activity.queue,
        "type_name": activity.activity_type,
        "activity_id": activity.id,
        **fields,
    }
    return a_task(run, **values)


def a_closed_attempt(task: Task, **fields: Any) -> ClosedAttempt:
    """How an attempt of a leased activity task ended."""
    values: dict[str, Any] = {
        "id": task.attempt_id or an_id("attempt"),
        "activity_id": task.activity_id,
        "task_id": task.id,
        "run_id": task.run_id,
        "number": task.attempt,
        "status": AttemptStatus.COMPLETED,
        "lease_owner": task.lease_owner or "worker-1",
        "started_at": NOON,
        "closed_at": NOON + SECOND,
        **fields,
    }
    return ClosedAttempt(**values)


def a_timer(run: Run, *, step: int, **fields: Any) -> Timer:
    """A pending timer of one minute, alone in its batch."""
    values: dict[str, Any] = {
        "id": an_id("timer"),
        "run_id": run.id,
        "step": step,
        "batch": step,
        "status": TimerStatus.PENDING,
        "delay_seconds": 60,
        "fire_at": NOON + 60 * SECOND,
        "task_id": an_id("task"),
        "created_at": NOON,
        **fields,
    }
    return Timer(**values)


def a_child(run: Run, *, step: int, **fields: Any) -> Child:
    """A child call that has started, alone in its batch."""
    values: dict[str, Any] = {
        "id": an_id("call"),
        "run_id": run.id,
        "step": step,
        "batch": step,
        "workflow_type": "orders.Pack",
        "status": ChildStatus.STARTED,
        "digest": f"digest-{step}",
        "child_workflow_id": an_id("workflow"),
        "child_run_id": an_id("run"),
        "created_at": NOON,
        **fields,
    }
    return Child(**values)


def a_wait(run: Run, *, step: int, **fields: Any) -> Wait:
    """An open wait for a condition, alone in its batch."""
    values: dict[str, Any] = {
        "id": an_id("wait"),
        "run_id": run.id,
        "step": step,
        "batch": step,
        "wait_for": WaitFor.CONDITION,
        "status": WaitStatus.OPEN,
        "opened_at": NOON,
        **fields,
    }
    return Wait(**values)


def a_signal(run: Run, *, sequence: int, **fields: Any) -> Signal:
    """A signal that the workflow has not seen yet."""
    values: dict[str, Any] = {
        "id": an_id("signal"),
        "run_id": run.id,
        "command_id": an_id("command"),
        "sequence": sequence,
        "name": "approve",
        "wait_id": an_id("wait"),
        "status": SignalStatus.RECEIVED,
        "received_at": NOON,
        **fields,
    }
    return Signal(**values)


def an_update(run: Run, *, sequence: int, **fields: Any) -> Update:
    """An accepted update."""
    values: dict[str, Any] = {
        "id": an_id("update"),
        "run_id": run.id,
        "command_id": an_id("command"),
        "sequence": sequence,
        "name": "set_address",
        "status": UpdateStatus.ACCEPTED,
        "accepted_at": NOON,
        **fields,
    }
    return Update(**values)


def an_outbox_entry(run: Run, **fields: Any) -> OutboxEntry:
    """The close policy of the run is to be carried out now."""
    values: dict[str, Any] = {
        "id": an_id("work"),
        "kind": OutboxKind.PARENT_CLOSE,
        "namespace": run.namespace,
        "run_id": run.id,
        "payload": {},
        "available_at": NOON,
        "created_at": NOON,
        **fields,
    }
    return OutboxEntry(**values)


def an_event(sequence: int, **fields: Any) -> Event:
    values: dict[str, Any] = {
        "id": an_id("event"),
        "sequence": sequence,
        "event_type": "TimerScheduled",
        "payload": b'{"sequence":%d}' % sequence,
        "recorded_at": NOON + sequence,
        **fields,
    }
    return Event(**values)


def a_command(run: Run, **fields: Any) -> Command:
    """The accepted start of the run."""
    values: dict[str, Any] = {
        "id": an_id("command"),
        "namespace": run.namespace,
        "workflow_id": run.workflow_id,
        "run_id": run.id,
        "sequence": run.command_sequence,
        "command_type": CommandType.START,
        "status": CommandStatus.ACCEPTED,
        "outcome": "started_new",
        "created_at": NOON,
        **fields,
    }
    return Command(**values)


def a_failure(run: Run, **fields: Any) -> Failure:
    values: dict[str, Any] = {
        "id": an_id("failure"),
        "run_id": run.id,
        "source_kind": "workflow_run",
        "source_id": run.id,
        "propagation_kind": "terminal",
        "category": FailureCategory.APPLICATION,
        "message": "out of stock",
        "created_at": NOON,
        **fields,
    }
    return Failure(**values)


def an_instance(run: Run, **fields: Any) -> Instance:
    """The workflow id of the run, with the run as its current one."""
    values: dict[str, Any] = {
        "namespace": run.namespace,
        "workflow_id": run.workflow_id,
        "workflow_type": run.workflow_type,
        "current_run_id": run.id,
        "run_count": run.run_number,
        "created_at": run.started_at,
        **fields,
    }
    return Instance(**values)


def a_start(run: Run, **fields: Any) -> RunChange:
    """All that a start writes of the run: two events, its task and its command."""
    values: dict[str, Any] = {
        "base_version": None,
        "run": run,
        "input": RunInput(arguments=Payload("avro", "AAAA")),
        "events": (
            an_event(1, event_type="StartAccepted"),
            an_event(2, event_type="WorkflowStarted"),
        ),
        "new_tasks": (a_task(run),),
        "commands": (a_command(run),),
        **fields,
    }
    return RunChange(**values)


def a_start_transition(run: Run | None = None, **fields: Any) -> Transition:
    """The start of a new workflow id; ``fields`` are those of :func:`a_start`."""
    run = run or a_run()
    return Transition(
        changes=(a_start(run, **fields),), new_instances=(an_instance(run),)
    )


def a_change(run: Run, **fields: Any) -> RunChange:
    """The next change upon ``run``. ``run_fields`` change the run row itself."""
    run_fields = {
        "version": run.version + 1,
        "last_progress_at": run.last_progress_at + SECOND,
        **fields.pop("run_fields", {}),
    }
    values: dict[str, Any] = {
        "base_version": run.version,
        "run": replace(run, **run_fields),
        **fields,
    }
    return RunChange(**values)


def a_transition(run: Run, **fields: Any) -> Transition:
    """A transition of one run; ``fields`` are those of :func:`a_change`."""
    return Transition(changes=(a_change(run, **fields),))


def an_activity_step(state: RunState, *, activities: int = 1) -> RunChange:
    """The open workflow task completes by scheduling activities as one batch."""
    run = state.run
    first = run.last_step + 1
    steps = range(first, first + activities)
    scheduled = [an_activity(run, step=step, batch=first) for step in steps]
    sequences = range(run.last_sequence + 1, run.last_sequence + 1 + activities)
    return a_change(
        run,
        run_fields={
            "status": RunStatus.WAITING,
            "last_sequence": sequences[-1],
            "last_step": steps[-1],
            "batch_first": first,
            "batch_size": activities,
            "batch_resolved_sequence": 0,
        },
        events=tuple(an_event(sequence) for sequence in sequences),
        tasks=tuple(closed(task) for task in state.tasks.values()),
        new_tasks=tuple(an_activity_task(each, run) for each in scheduled),
        new_activities=tuple(
            NewActivity(each, Payload("avro", f"args-{each.step}"))
            for each in scheduled
        ),
    )


def closed(task: Task) -> Task:
    """The task as it is once it has completed."""
    return replace(task, status=TaskStatus.COMPLETED, closed_at=NOON + SECOND)


def a_completion(run: Run, output: Payload | None = None) -> RunChange:
    """The run completes."""
    return a_change(
        run,
        run_fields={
            "status": RunStatus.COMPLETED,
            "closed_at": NOON + SECOND,
            "last_sequence": run.last_sequence + 1,
        },
        output=output,
        events=(an_event(run.last_sequence + 1, event_type="WorkflowCompleted"),),
    )


def a_renewal(task: Task, **fields: Any) -> LeaseRenewal:
    """A renewal by the holder of a leased task, for one more minute."""
    values: dict[str, Any] = {
        "task_id": task.id,
        "owner": task.lease_owner,
        "lease_expires_at": NOON + 60 * SECOND,
        "attempt": task.attempt,
        **fields,
    }
    return LeaseRenewal(**values)


def a_namespace(name: str, **fields: Any) -> Namespace:
    values: dict[str, Any] = {
        "name": name,
        "description": None,
        "retention_days": 30,
        "status": "active",
        "external_storage": None,
        "created_at": NOON,
        "updated_at": NOON,
        **fields,
    }
    return Namespace(**values)


def a_worker(worker_id: str, **fields: Any) -> WorkerRegistration:
    values: dict[str, Any] = {
        "namespace": "default",
        "worker_id": worker_id,
        "task_queue": "orders",
        "runtime": "python",
        "sdk_version": "2.9.0",
        "build_id": None,
        "workflow_types": ("orders.Ship",),
        "activity_types": ("orders.Charge", "orders.Refund"),
        "fingerprints": {"orders.Ship": "f1"},
        "max_workflow_tasks": 10,
        "max_activity_tasks": 20,
        "status": "active",
        "registered_at": NOON,
        "last_heartbeat_at": NOON,
        **fields,
    }
    return WorkerRegistration(**values)


def a_schedule(**fields: Any) -> Schedule:
    """A new schedule that fires every hour."""
    values: dict[str, Any] = {
        "id": an_id("schedule"),
        "namespace": "default",
        "schedule_id": an_id("hourly"),
        "version": 1,
        "status": ScheduleStatus.ACTIVE,
        "spec": {"intervals": [{"every": "PT1H"}]},
        "action": {"workflow_type": "orders.Ship", "task_queue": "orders"},
        "overlap_policy": OverlapPolicy.SKIP,
        "jitter_seconds": 0,
        "created_at": NOON,
        "updated_at": NOON,
        **fields,
    }
    return Schedule(**values)


def a_schedule_event(sequence: int, **fields: Any) -> ScheduleEvent:
    values: dict[str, Any] = {
        "id": an_id("schedule-event"),
        "sequence": sequence,
        "event_type": ScheduleEventType.UPDATED,
        "payload": b'{"note":"n"}',
        "recorded_at": NOON,
        **fields,
    }
    return ScheduleEvent(**values)


def a_schedule_creation(schedule: Schedule) -> Transition:
    """The transition that makes a schedule."""
    return Transition(schedule=ScheduleChange(base_version=None, schedule=schedule))


def a_schedule_change(schedule: Schedule, **changes: Any) -> ScheduleChange:
    """The next version of a schedule; ``changes`` are fields of the change, or of the
    schedule."""
    about = {"events", "occurrences"}
    row = {name: value for name, value in changes.items() if name not in about}
    rest = {name: value for name, value in changes.items() if name in about}
    changed = replace(schedule, version=schedule.version + 1, **row)
    return ScheduleChange(base_version=schedule.version, schedule=changed, **rest)

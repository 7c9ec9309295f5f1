"""The transitions of a run with one activity, as the benchmark's W1 makes them."""

from __future__ import annotations

from dataclasses import replace

from dwserver.engine.model import (
    Activity,
    ClosedAttempt,
    Command,
    Event,
    Failure,
    Instance,
    Payload,
    RetryPolicy,
    Run,
    RunInput,
    Task,
    Timer,
    Wake,
)
from dwserver.engine.transition import NewActivity, RunChange, Transition
from dwserver.engine.words import (
    ActivityStatus,
    AttemptStatus,
    ClosedReason,
    CommandStatus,
    CommandType,
    FailureCategory,
    RunStatus,
    TaskKind,
    TaskStatus,
    TimerStatus,
)

NOW = 1_763_700_000_000_000
LEASE = 60_000_000
PAYLOAD = Payload("avro", "AAECAwQ=")


def event(run: Run, sequence: int, event_type: str) -> Event:
    return Event(
        id=f"event-{run.id}-{sequence}",
        sequence=sequence,
        event_type=event_type,
        payload=b'{"sequence":%d}' % sequence,
        recorded_at=NOW + abs(sequence),
        has_plain=sequence % 2 == 0,
    )


def leased_task(run: Run, position: int, kind: TaskKind) -> Task:
    return Task(
        id=f"task-{run.id}-{position}",
        run_id=run.id,
        namespace=run.namespace,
        kind=kind,
        status=TaskStatus.LEASED,
        queue=run.task_queue,
        type_name=run.workflow_type,
        available_at=NOW,
        created_at=NOW,
        attempt=1,
        lease_owner="worker-1",
        leased_at=NOW,
        lease_expires_at=NOW + LEASE,
        resume={"wait": {"kind": "activity", "steps": [1, 2]}} if position > 1 else {},
    )


def completed(task: Task) -> Task:
    return replace(task, status=TaskStatus.COMPLETED, closed_at=NOW + 1)


class OneActivityRun:
    """Start, scheduling of the activity, its completion, completion of the run."""

    def __init__(self, name: str, *, namespace: str = "default") -> None:
        self.run = Run(
            id=f"run-{name}",
            namespace=namespace,
            workflow_id=f"workflow-{name}",
            workflow_type="greeting",
            run_number=1,
            status=RunStatus.PENDING,
            task_queue="queue",
            payload_codec="avro",
            started_at=NOW,
            last_progress_at=NOW,
            last_sequence=2,
            history_bytes=40,
            command_sequence=1,
            wakes=(Wake({"signal": "early"}),),
            execution_timeout_seconds=60,
            execution_deadline_at=NOW + 60_000_000,
        )
        self.instance = Instance(
            namespace=namespace,
            workflow_id=self.run.workflow_id,
            workflow_type=self.run.workflow_type,
            current_run_id=self.run.id,
            run_count=1,
            created_at=NOW,
        )
        self.first_task = leased_task(self.run, 1, TaskKind.WORKFLOW)
        self.activity = Activity(
            id=f"activity-{name}",
            run_id=self.run.id,
            step=1,
            batch=1,
            activity_type="greet",
            status=ActivityStatus.RUNNING,
            queue="queue",
            payload_codec="avro",
            digest="digest",
            created_at=NOW,
            attempt_count=1,
            retry_policy=RetryPolicy(
                max_attempts=3,
                backoff_seconds=(1, 5),
                non_retryable_error_types=("Fatal",),
                start_to_close_timeout=30,
            ),
            parallel={"path": [1]},
            started_at=NOW,
        )
        self.activity_task = replace(
            leased_task(self.run, 2, TaskKind.ACTIVITY),
            activity_id=self.activity.id,
            attempt_id=f"attempt-{name}",
        )
        self.timer = Timer(
            id=f"timer-{name}",
            run_id=self.run.id,
            step=2,
            batch=1,
            status=TimerStatus.PENDING,
            delay_seconds=5,
            fire_at=NOW + 5_000_000,
            task_id=f"timer-task-{name}",
            created_at=NOW,
            parallel={"path": [2]},
        )
        self.waiting = replace(
            self.run,
            version=2,
            status=RunStatus.WAITING,
            last_sequence=4,
            last_step=2,
            batch_first=1,
            batch_size=2,
            wakes=(),
            compatibility="build-1",
        )
        self.last_task = leased_task(self.run, 3, TaskKind.WORKFLOW)

    def start(self) -> Transition:
        command = Command(
            id=f"command-{self.run.id}",
            namespace=self.run.namespace,
            workflow_id=self.run.workflow_id,
            run_id=self.run.id,
            sequence=1,
            command_type=CommandType.START,
            status=CommandStatus.ACCEPTED,
            outcome="started_new",
            created_at=NOW,
            payload=PAYLOAD,
            context={"caller": {"type": "server"}},
        )
        change = RunChange(
            base_version=None,
            run=self.run,
            input=RunInput(
                arguments=PAYLOAD,
                memo={"note": "first"},
                search_attributes={"Customer": "c-1"},
                business_key="order-7",
            ),
            events=(
                event(self.run, 1, "StartAccepted"),
                event(self.run, 2, "WorkflowStarted"),
            ),
            new_tasks=(self.first_task,),
            commands=(command,),
        )
        return Transition(changes=(change,), new_instances=(self.instance,))

    def schedule(self) -> Transition:
        change = RunChange(
            base_version=1,
            run=self.waiting,
            events=(
                event(self.run, 3, "ActivityScheduled"),
                event(self.run, 4, "TimerScheduled"),
                event(self.run, -2, "TimerFired"),
            ),
            tasks=(completed(self.first_task),),
            new_tasks=(self.activity_task,),
            new_activities=(NewActivity(self.activity, PAYLOAD),),
            new_timers=(self.timer,),
        )
        return Transition(changes=(change,))

    def complete_activity(self) -> Transition:
        attempt = ClosedAttempt(
            id=f"attempt-{self.run.id}",
            activity_id=self.activity.id,
            task_id=self.activity_task.id,
            run_id=self.run.id,
            number=1,
            status=AttemptStatus.COMPLETED,
            lease_owner="worker-1",
            started_at=NOW,
            closed_at=NOW + 1,
        )
        closed = replace(
            self.activity, status=ActivityStatus.COMPLETED, closed_at=NOW + 1
        )
        fired = replace(self.timer, status=TimerStatus.FIRED, closed_at=NOW + 1)
        change = RunChange(
            base_version=2,
            run=replace(self.waiting, version=3, last_sequence=5),
            events=(event(self.run, 5, "ActivityCompleted"),),
            tasks=(completed(self.activity_task),),
            new_tasks=(self.last_task,),
            activities=(closed,),
            attempts=(attempt,),
            timers=(fired,),
        )
        return Transition(changes=(change,))

    def complete(self) -> Transition:
        failure = Failure(
            id=f"failure-{self.run.id}",
            run_id=self.run.id,
            source_kind="workflow_run",
            source_id=self.run.id,
            propagation_kind="terminal",
            category=FailureCategory.APPLICATION,
            message="seen on the way",
            created_at=NOW,
        )
        change = RunChange(
            base_version=3,
            run=replace(
                self.waiting,
                version=4,
                last_sequence=6,
                status=RunStatus.COMPLETED,
                closed_reason=ClosedReason.COMPLETED,
                closed_at=NOW + 2,
            ),
            output=Payload("json", '{"greeting":"hello"}'),
            events=(event(self.run, 6, "WorkflowCompleted"),),
            tasks=(completed(self.last_task),),
            failures=(failure,),
        )
        return Transition(changes=(change,))

    def transitions(self) -> tuple[Transition, ...]:
        return (
            self.start(),
            self.schedule(),
            self.complete_activity(),
            self.complete(),
        )

"""Frozen records of the durable model (``spec/engine.md §1``).

Instants (``*_at``) are integer microseconds since the epoch, UTC. Durations carry
their unit in the name. A record is what one database row holds; large immutable
payloads (:class:`RunInput`, activity arguments) are kept apart from the records that
change, so that the hot state of a run stays small.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from dwserver.engine.records import quick_init
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
    TimerKind,
    TimerStatus,
)

JsonMap = Mapping[str, object]

# Looked at for every open step of a run in every decision about it.
_PENDING = ActivityStatus.PENDING
_RUNNING = ActivityStatus.RUNNING
_TIMER_PENDING = TimerStatus.PENDING


@quick_init
@dataclass(frozen=True, slots=True)
class Payload:
    """An encoded value: ``data`` is the codec's transport text.

    Codec ``avro``: ``data`` is the base64 text exactly as a client sent it. Codec
    ``json``: ``data`` is compact JSON text of a value that a caller sent unencoded;
    it is encoded for each reader at delivery (decision 9).
    """

    codec: str
    data: str


@dataclass(frozen=True, slots=True, kw_only=True)
class RetryPolicy:
    """Retry rule and timeouts of an activity as snapshot at scheduling (§7)."""

    max_attempts: int = 1
    backoff_seconds: tuple[int, ...] = ()
    non_retryable_error_types: tuple[str, ...] = ()
    start_to_close_timeout: int | None = None
    schedule_to_start_timeout: int | None = None
    schedule_to_close_timeout: int | None = None
    heartbeat_timeout: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Instance:
    """A workflow id within a namespace and the run that is current for it."""

    namespace: str
    workflow_id: str
    workflow_type: str
    current_run_id: str
    run_count: int
    created_at: int


@dataclass(frozen=True, slots=True, kw_only=True)
class RunInput:
    """What a run was started with; written once, never part of the hot state."""

    arguments: Payload | None
    memo: JsonMap = field(default_factory=dict)
    search_attributes: JsonMap = field(default_factory=dict)
    business_key: str | None = None


@dataclass(frozen=True, slots=True)
class Wake:
    """A reason to run the workflow again that waits until the open task closes."""

    resume: JsonMap


@quick_init
@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """One run. ``version`` guards every transition; ``last_sequence`` is the history
    position, ``last_step`` the dense step counter (decision 20a).

    ``batch_first``/``batch_size``: step numbers of the newest batch of blocking
    commands (size 0: none yet). ``batch_resolved_sequence``: history sequence of the
    event that resolved its last open member, 0 while one is open.
    """

    id: str
    namespace: str
    workflow_id: str
    workflow_type: str
    run_number: int
    status: RunStatus
    task_queue: str
    payload_codec: str
    started_at: int
    last_progress_at: int
    version: int = 1
    last_sequence: int = 0
    last_step: int = 0
    history_bytes: int = 0
    command_sequence: int = 0
    closed_reason: ClosedReason | None = None
    closed_at: int | None = None
    compatibility: str | None = None
    priority: int = 5
    execution_timeout_seconds: int | None = None
    run_timeout_seconds: int | None = None
    execution_deadline_at: int | None = None
    run_deadline_at: int | None = None
    task_failures: int = 0
    batch_first: int = 0
    batch_size: int = 0
    batch_resolved_sequence: int = 0
    wakes: tuple[Wake, ...] = ()
    continued_from_run_id: str | None = None
    parent_run_id: str | None = None
    parent_step: int | None = None


@quick_init
@dataclass(frozen=True, slots=True, kw_only=True)
class Task:
    """A workflow or activity task. ``attempt`` is the fencing token of a lease.

    ``snapshot_sequence``: history position delivered with the newest lease of a
    workflow task (§5.3 rule 5). ``type_name``: the workflow or activity type that a
    worker must support. ``attempt_id``: the current attempt of an activity task.
    """

    id: str
    run_id: str
    namespace: str
    kind: TaskKind
    status: TaskStatus
    queue: str
    type_name: str
    available_at: int
    created_at: int
    compatibility: str | None = None
    priority: int = 5
    attempt: int = 0
    repair_count: int = 0
    lease_owner: str | None = None
    leased_at: int | None = None
    lease_expires_at: int | None = None
    snapshot_sequence: int = 0
    resume: JsonMap = field(default_factory=dict)
    activity_id: str | None = None
    attempt_id: str | None = None
    last_error: str | None = None
    closed_at: int | None = None


@quick_init
@dataclass(frozen=True, slots=True, kw_only=True)
class Activity:
    """An activity execution, alive over its attempts.

    ``step``: its step number; ``batch``: first step number of the batch it was
    scheduled with. ``digest`` identifies its arguments (to recognise a re-sent
    command). ``is_held``: closed, but its resolution event waits for earlier members
    of the batch (§10); the event is stored under sequence ``-step`` until then.
    """

    id: str
    run_id: str
    step: int
    batch: int
    activity_type: str
    status: ActivityStatus
    queue: str
    payload_codec: str
    digest: str
    created_at: int
    attempt_count: int = 0
    retry_policy: RetryPolicy | None = None
    parallel: JsonMap | None = None
    schedule_deadline_at: int | None = None
    close_deadline_at: int | None = None
    schedule_to_close_deadline_at: int | None = None
    heartbeat_deadline_at: int | None = None
    last_heartbeat_at: int | None = None
    started_at: int | None = None
    closed_at: int | None = None
    is_held: bool = False

    @property
    def is_open(self) -> bool:
        status = self.status
        return status is _PENDING or status is _RUNNING


@quick_init
@dataclass(frozen=True, slots=True, kw_only=True)
class ClosedAttempt:
    """A finished attempt of an activity; the current one lives on its task."""

    id: str
    activity_id: str
    task_id: str
    run_id: str
    number: int
    status: AttemptStatus
    lease_owner: str
    started_at: int
    closed_at: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Timer:
    """A durable timer. ``task_id`` is the id under which the wire shows its task."""

    id: str
    run_id: str
    step: int
    batch: int
    status: TimerStatus
    delay_seconds: int
    fire_at: int
    task_id: str
    created_at: int
    kind: TimerKind = TimerKind.PLAIN
    parallel: JsonMap | None = None
    closed_at: int | None = None
    is_held: bool = False

    @property
    def is_open(self) -> bool:
        return self.status is _TIMER_PENDING


@quick_init
@dataclass(frozen=True, slots=True, kw_only=True)
class Command:
    """A recorded operator command (start, signal, …), accepted or rejected."""

    id: str
    namespace: str
    workflow_id: str
    run_id: str
    sequence: int
    command_type: CommandType
    status: CommandStatus
    outcome: str
    created_at: int
    target_name: str | None = None
    rejection_reason: str | None = None
    request_id: str | None = None
    payload: Payload | None = None
    context: JsonMap = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Failure:
    """A recorded failure of a run or of one of its steps."""

    id: str
    run_id: str
    source_kind: str
    source_id: str
    propagation_kind: str
    category: FailureCategory
    message: str
    created_at: int
    exception_type: str | None = None
    exception_class: str | None = None
    non_retryable: bool = False
    event_sequence: int | None = None


@quick_init
@dataclass(frozen=True, slots=True, kw_only=True)
class Event:
    """A history event. ``payload`` is the JSON text of an object, encoded once.

    ``sequence`` < 0: held back, see :class:`Activity`. ``has_plain``: some payload
    in it has codec ``json`` and is encoded for each reader at delivery.
    """

    id: str
    sequence: int
    event_type: str
    payload: bytes
    recorded_at: int
    has_plain: bool = False
    task_id: str | None = None
    command_id: str | None = None


@quick_init
@dataclass(frozen=True, slots=True)
class RunState:
    """The hot state of a run: what decisions read.

    ``tasks`` by id: the open ones. ``activities`` and ``timers`` by step number, in
    rising order: the open and the held ones, and all members of the newest batch.
    """

    run: Run
    tasks: Mapping[str, Task]
    activities: Mapping[int, Activity]
    timers: Mapping[int, Timer]

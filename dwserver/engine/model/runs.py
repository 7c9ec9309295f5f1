"""A run and its workflow id, tasks, history, operator commands and failures."""

from __future__ import annotations

from dataclasses import dataclass, field

from dwserver.engine.model.values import JsonMap, Payload
from dwserver.engine.records import quick_init
from dwserver.engine.words import (
    ClosedReason,
    CommandStatus,
    CommandType,
    FailureCategory,
    OutboxKind,
    RunStatus,
    TaskKind,
    TaskStatus,
)


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

    ``inherits_children``: an earlier run of the chain may have left open children to
    which the close policy of this run applies (§8); known when the run is made.

    ``archived_at``: an operator archived the closed run, which retention then keeps.

    ``definition_fingerprint``: that of the worker which began the run, if it told one
    (``engine/definitions.py``).
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
    inherits_children: bool = False
    archived_at: int | None = None
    definition_fingerprint: str | None = None

    @property
    def deadline_at(self) -> int | None:
        """When the run times out: its own deadline or that of the whole execution."""
        run, execution = self.run_deadline_at, self.execution_deadline_at
        if run is None or execution is None:
            return execution if run is None else run
        return min(run, execution)


@quick_init
@dataclass(frozen=True, slots=True, kw_only=True)
class Task:
    """A workflow or activity task. ``attempt`` is the fencing token of a lease.

    ``snapshot_sequence``: history position delivered with the newest lease of a
    workflow task (§5.3 rule 5). ``type_name``: the workflow or activity type that a
    worker must support. ``attempt_id``: the current attempt of an activity task.
    ``definition_fingerprint``: the run's, of an open workflow task.
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
    definition_fingerprint: str | None = None

    @property
    def is_open(self) -> bool:
        return self.status.is_open


@quick_init
@dataclass(frozen=True, slots=True, kw_only=True)
class Command:
    """A recorded operator command (start, signal, …), accepted or rejected.

    ``applied_at``: when it took effect; a message takes effect when the workflow has
    seen it.
    """

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
    applied_at: int | None = None


@dataclass(frozen=True, slots=True)
class AppliedCommand:
    """The command of this sequence took effect with this outcome."""

    sequence: int
    outcome: str
    applied_at: int


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

    ``sequence`` < 0: held back (``engine/held.py``). ``has_plain``: some payload
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


@dataclass(frozen=True, slots=True, kw_only=True)
class OutboxEntry:
    """Work that a transition leaves for after its commit; deleted once it is done."""

    id: str
    kind: OutboxKind
    namespace: str
    run_id: str
    payload: JsonMap
    available_at: int
    created_at: int

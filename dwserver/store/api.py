"""The Store: everything the server asks of its database.

Three kinds of method (``architecture.md §3``): ``commit`` writes one guarded
transition, combined with others in flight; the *loads* read the slices that decisions
need, combined likewise; the *set operations* (claim candidates, due timers, renewals,
lists) are one statement each. The conformance suite in ``tests/store`` is the
definition of what the methods mean, on every database.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final, NamedTuple, Protocol

from dwserver.engine.model import (
    Child,
    ClosedAttempt,
    Command,
    Failure,
    Instance,
    JsonMap,
    OutboxEntry,
    Payload,
    Run,
    RunInput,
    RunState,
    Task,
    Update,
)
from dwserver.engine.run_conditions import Condition
from dwserver.engine.transition import RunImport, Transition
from dwserver.engine.words import CommandType, StatusBucket, TaskKind
from dwserver.store.figures import Figures
from dwserver.store.leadership import LeaderLeases
from dwserver.store.queues import QueueReads
from dwserver.store.repair import Repair
from dwserver.store.retention import Retention
from dwserver.store.rollouts import Rollouts
from dwserver.store.schedules import Schedules

# Registrations of a queue that are put in order.
MAX_WORKERS_SORTED: Final = 100_000


class StoreError(Exception):
    """The database did not answer as it should.

    ``is_applied_unknown``: the connection was lost while a commit was under way; the
    write may have happened. Otherwise it certainly did not.
    """

    def __init__(self, message: str, *, is_applied_unknown: bool = False) -> None:
        super().__init__(message)
        self.is_applied_unknown = is_applied_unknown


class StoreUnavailable(StoreError):
    """The database cannot be reached."""


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredEvent:
    """A history event as read back; ``payload`` is the JSON text as written."""

    id: str
    sequence: int
    event_type: str
    payload: bytes
    recorded_at: int
    has_plain: bool
    task_id: str | None
    command_id: str | None


class QueueKey(NamedTuple):
    """A task queue of one kind of task; a key of many look-ups, so a plain tuple."""

    namespace: str
    queue: str
    kind: TaskKind


@dataclass(frozen=True, slots=True)
class ReadyTask:
    """A candidate for a claim: enough to choose a poller without loading the run."""

    key: QueueKey
    task_id: str
    run_id: str
    type_name: str
    compatibility: str | None
    available_at: int
    definition_fingerprint: str | None = None


class Definitions(NamedTuple):
    """Which tasks of runs that stay with a definition somebody waits for: those of
    these fingerprints, and all of these types."""

    fingerprints: frozenset[str]
    types: frozenset[str]

    def covers(self, other: Definitions) -> bool:
        return self.fingerprints >= other.fingerprints and self.types >= other.types


@dataclass(frozen=True, slots=True)
class DueTimer:
    run_id: str
    step: int
    fire_at: int


@dataclass(frozen=True, slots=True)
class DueActivity:
    """An open activity with a deadline that had passed when the activity was written;
    renewals may have moved the one of its heartbeat since."""

    run_id: str
    step: int
    deadline_at: int


@dataclass(frozen=True, slots=True)
class ActivityPlace:
    """Where an activity stands: its run, and its step there."""

    activity_id: str
    run_id: str
    step: int


@dataclass(frozen=True, slots=True)
class DueRun:
    run_id: str
    deadline_at: int


@dataclass(frozen=True, slots=True)
class Overdue:
    runs: list[DueRun]
    activities: list[DueActivity]


@dataclass(frozen=True, slots=True)
class ExpiredLease:
    task_id: str
    run_id: str
    kind: TaskKind
    lease_expires_at: int


@dataclass(frozen=True, slots=True)
class LeaseRenewal:
    """Extend a lease that is still held by this owner with this fencing token.

    ``attempt``: attempt number of a workflow task. ``attempt_id``: current attempt
    of an activity task; then ``heartbeat_deadline_at``, ``last_heartbeat_at`` of the
    activity move as well.
    """

    task_id: str
    owner: str
    lease_expires_at: int
    attempt: int | None = None
    attempt_id: str | None = None
    activity_id: str | None = None
    heartbeat_deadline_at: int | None = None
    last_heartbeat_at: int | None = None


@dataclass(frozen=True, slots=True)
class WholeRun:
    """Everything that is recorded of a run but its history. ``rows``: its steps and
    messages, those that have ended too, and no tasks. ``commands`` in their order."""

    rows: RunState
    commands: tuple[Command, ...]


@dataclass(frozen=True, slots=True)
class RunView:
    """A run with everything that describe and list show. ``pruned_at``: retention has
    deleted its history and its payloads. ``imported``: where it comes from, if another
    engine began it; the list of the runs of one workflow id does not tell."""

    run: Run
    input: RunInput
    output: Payload | None
    run_count: int
    current_run_id: str
    pruned_at: int | None = None
    imported: RunImport | None = None


@dataclass(frozen=True, slots=True)
class RunPlace:
    """Whose a run id is, and where the run comes from if it was imported."""

    namespace: str
    workflow_id: str
    imported: RunImport | None


@dataclass(frozen=True, slots=True)
class RunFilter:
    """Filters of the run list, all of which must hold; ``text``: part of a workflow id
    or business key."""

    namespace: str
    workflow_type: str | None = None
    bucket: StatusBucket | None = None
    text: str | None = None
    conditions: tuple[Condition, ...] = ()


@dataclass(frozen=True, slots=True)
class RunCursor:
    """Keyset position in the run list: after this row (newest first)."""

    started_at: int
    run_id: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Namespace:
    name: str
    description: str | None
    retention_days: int
    status: str
    external_storage: JsonMap | None
    created_at: int
    updated_at: int


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkerRegistration:
    """A registered worker (``spec/worker-protocol.md §4``); key: namespace, id.

    ``details``: what is stored and shown but never decided upon (command contracts,
    capabilities, task slots, process metrics, …).
    """

    namespace: str
    worker_id: str
    task_queue: str
    runtime: str
    sdk_version: str | None
    build_id: str | None
    workflow_types: tuple[str, ...]
    activity_types: tuple[str, ...]
    fingerprints: Mapping[str, str]
    max_workflow_tasks: int
    max_activity_tasks: int
    status: str
    registered_at: int
    last_heartbeat_at: int
    details: JsonMap = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class ClusterNode:
    """A process of the cluster as it registers itself; ``roles`` and ``process_class``
    are words, which a node of another version may not know."""

    node_id: str
    process_class: str
    roles: tuple[str, ...]
    internal_address: str
    version: str
    started_at: int
    details: JsonMap = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class LiveNode:
    """A node that was heard of lately: when, and how long ago (microseconds), both by
    the clock of the database."""

    node: ClusterNode
    heartbeat_at: int
    heartbeat_age: int


@dataclass(frozen=True, slots=True)
class MigrationReport:
    """State of the schema: ledger present, names applied and still pending.
    ``adoptable``: pending ones that only have to be recorded. ``unknown``: applied by
    a newer release."""

    has_ledger: bool
    applied: tuple[str, ...]
    pending: tuple[str, ...]
    missing_tables: tuple[str, ...]
    adoptable: tuple[str, ...] = ()
    unknown: tuple[str, ...] = ()

    @property
    def blocking(self) -> tuple[str, ...]:
        """What must be done before the schema can be used."""
        return tuple(name for name in self.pending if name not in self.adoptable)


class Store(
    LeaderLeases,
    Schedules,
    Retention,
    Repair,
    Figures,
    QueueReads,
    Rollouts,
    Protocol,
):
    """See the module text. Every method may raise :class:`StoreError`."""

    # life cycle -----------------------------------------------------------------
    async def open(self) -> None: ...
    async def close(self) -> None: ...
    async def ping(self) -> None: ...
    async def migration_report(self) -> MigrationReport: ...

    # transitions ----------------------------------------------------------------
    async def commit(self, transition: Transition) -> bool:
        """Write it atomically. False: a guard failed and nothing was written."""
        ...

    # loads ----------------------------------------------------------------------
    async def load_run(self, run_id: str) -> RunState | None:
        """The hot state of a run (combined with the loads of others)."""
        ...

    async def find_instance(
        self, namespace: str, workflow_id: str
    ) -> Instance | None: ...

    async def find_task(self, namespace: str, task_id: str) -> Task | None:
        """A task in whatever status; None when the namespace has no such task."""
        ...

    async def find_closed_attempt(self, attempt_id: str) -> ClosedAttempt | None: ...

    async def run_input(self, run_id: str) -> RunInput | None:
        """What a run was started with (combined with the loads of others)."""
        ...

    async def activity_arguments(
        self, activity_ids: Sequence[str]
    ) -> dict[str, Payload | None]:
        """Arguments by activity id; ids that do not exist are absent."""
        ...

    async def message_payloads(
        self, run_id: str, sequences: Sequence[int]
    ) -> dict[int, Payload | None]:
        """Arguments of messages by command sequence; unknown ones are absent."""
        ...

    async def find_command(
        self, run_id: str, request_id: str, *, command_type: CommandType | None = None
    ) -> Command | None:
        """The first command of the run with this request id, accepted or rejected;
        ``command_type``: of this type only."""
        ...

    async def find_command_of_workflow(
        self, run: Run, request_id: str, *, command_type: CommandType, runs: int
    ) -> Command | None:
        """The same among that many runs of the workflow id: ``run`` and those with the
        numbers before its own; of several runs the newest."""
        ...

    async def find_update(self, update_id: str) -> Update | None:
        """An update in whatever status. One that a run left to its successor keeps its
        id, and is found as it stands there."""
        ...

    async def find_update_of_command(self, run_id: str, sequence: int) -> Update | None:
        """The update that the run's command of this sequence brought."""
        ...

    async def open_children(self, run_ids: Sequence[str]) -> list[Child]:
        """Open child calls of the runs, by run id and step."""
        ...

    async def history(
        self, run_id: str, *, after: int, upto: int | None, limit: int
    ) -> list[StoredEvent]:
        """Events with ``after < sequence <= upto``, ascending; never held ones
        (combined with the loads of others)."""
        ...

    # set operations -------------------------------------------------------------
    async def ready_tasks(
        self,
        keys: Sequence[QueueKey],
        *,
        now: int,
        limit: int,
        wanted: Mapping[QueueKey, Definitions] | None = None,
    ) -> list[ReadyTask]:
        """Ready tasks with ``available_at <= now``, at most ``limit`` for each key,
        ordered by priority, available_at, id. Of a key that is ``wanted`` so, tasks of
        other definitions are read past."""
        ...

    async def due_timers(self, *, now: int, limit: int) -> list[DueTimer]:
        """Pending timers that are not held with ``fire_at <= now``, the earliest
        first."""
        ...

    async def overdue(self, *, now: int, limit: int) -> Overdue:
        """Open runs and activities with ``deadline_at <= now``, at most ``limit`` of
        each, the earliest first. An activity that renewals keep alive is listed until
        it is written again."""
        ...

    async def expired_activities(self, *, now: int, limit: int) -> list[ActivityPlace]:
        """Open activities with a deadline that has passed, whatever renewals moved; the
        longest overdue first."""
        ...

    async def find_activities(self, activity_ids: Sequence[str]) -> list[ActivityPlace]:
        """Those that exist, open or closed, in no order."""
        ...

    async def due_runs(self, *, now: int, limit: int) -> list[DueRun]:
        """The runs of :meth:`overdue` alone."""
        ...

    async def expired_leases(self, *, now: int, limit: int) -> list[ExpiredLease]: ...

    async def waiting_queue(self, *, due_before: int) -> QueueKey | None:
        """Some queue with a ready task that was due before."""
        ...

    async def renew_leases(self, renewals: Sequence[LeaseRenewal]) -> list[bool]:
        """Renew all together; False where the lease is not held so any more."""
        ...

    # outbox ---------------------------------------------------------------------
    async def due_outbox(self, *, now: int, limit: int) -> list[OutboxEntry]:
        """Entries with ``available_at <= now``, the earliest first."""
        ...

    async def delete_outbox(self, ids: Sequence[str]) -> None:
        """Forget entries; ids that do not exist are no fault."""
        ...

    async def postpone_outbox(self, ids: Sequence[str], *, available_at: int) -> None:
        """Let entries be due at another time; ids that do not exist are no fault."""
        ...

    # reads for operators --------------------------------------------------------
    async def find_run_view(self, namespace: str, run_id: str) -> RunView | None: ...

    async def find_run_place(self, run_id: str) -> RunPlace | None:
        """Run ids are the same for all namespaces."""
        ...

    async def list_runs(
        self, run_filter: RunFilter, *, after: RunCursor | None, limit: int
    ) -> list[RunView]:
        """Newest first by (started_at, id), keyset-paged."""
        ...

    async def runs_of_instance(self, namespace: str, workflow_id: str) -> list[RunView]:
        """All runs of a workflow id, by run number; empty when there is none."""
        ...

    async def failures_of_run(self, run_id: str, *, limit: int) -> list[Failure]:
        """Newest first."""
        ...

    async def whole_run(self, run: Run) -> WholeRun:
        """All rows of a run. What the run row says goes by ``run``."""
        ...

    async def tasks_by_id(self, task_ids: Sequence[str]) -> list[Task]:
        """Tasks in whatever status, oldest first; unknown ones are absent."""
        ...

    async def closed_attempts_by_id(
        self, attempt_ids: Sequence[str]
    ) -> list[ClosedAttempt]:
        """Attempts that have ended, oldest first; unknown ones are absent."""
        ...

    async def count_active_leases(self, key: QueueKey, *, now: int) -> tuple[int, int]:
        """Leases of the queue's kind that are good: in the queue, and in all queues of
        its namespace."""
        ...

    # namespaces -----------------------------------------------------------------
    async def list_namespaces(self) -> list[Namespace]: ...
    async def find_namespace(self, name: str) -> Namespace | None: ...
    async def create_namespace(self, namespace: Namespace) -> bool:
        """False when the name exists."""
        ...

    async def update_namespace(
        self,
        name: str,
        *,
        description: str | None = None,
        retention_days: int | None = None,
        external_storage: JsonMap | None = None,
        at: int,
    ) -> Namespace | None:
        """Change what is given, one statement; None when there is none of that name."""
        ...

    # search attributes ----------------------------------------------------------
    async def search_attribute_types(self, namespace: str) -> dict[str, str]:
        """Types of the attributes that the namespace has defined, by rising name."""
        ...

    async def put_search_attribute(
        self, namespace: str, name: str, *, value_type: str, created_at: int
    ) -> bool:
        """Define one. False when the name exists, of whatever type."""
        ...

    async def delete_search_attribute(self, namespace: str, name: str) -> bool:
        """False when there is none of that name."""
        ...

    # workers --------------------------------------------------------------------
    async def find_worker(
        self, namespace: str, worker_id: str
    ) -> WorkerRegistration | None: ...

    async def put_worker(
        self, worker: WorkerRegistration, *, over: Mapping[str, str] | None = None
    ) -> WorkerRegistration | None:
        """Insert or replace by (namespace, worker_id); what was written. The status is
        that of the cohort: ``draining`` while an operator drains it. None when there
        is one whose fingerprints are not ``over`` (left out: whatever they are)."""
        ...

    async def renew_worker(
        self, worker: WorkerRegistration, *, details: JsonMap, at: int
    ) -> WorkerRegistration | None:
        """Note a heartbeat with new details, and the status of the cohort; the
        registration as it is then. None when it is gone, or has other details than
        ``worker``."""
        ...

    async def delete_worker(self, namespace: str, worker_id: str) -> bool: ...

    async def delete_silent_workers(self, *, before: int, limit: int) -> int:
        """Forget those that were last heard of before an instant, of all namespaces;
        how many. Reads the whole table."""
        ...

    async def touch_workers(
        self, seen: Sequence[tuple[str, str]], *, at: int
    ) -> list[WorkerRegistration]:
        """Raise ``last_heartbeat_at`` of (namespace, worker id) pairs and take over the
        status of their cohorts, one statement; the registrations of those that exist,
        in no order."""
        ...

    async def list_workers(
        self, namespace: str, *, queue: str | None
    ) -> list[WorkerRegistration]:
        """By last heartbeat, newest first."""
        ...

    async def list_workers_of_queue(
        self, namespace: str, queue: str, *, silent_since: int, limit: int
    ) -> list[WorkerRegistration]:
        """By id; those that were last heard of at ``silent_since`` or before after the
        others."""
        ...

    # nodes ----------------------------------------------------------------------
    async def heartbeat_node(
        self, node: ClusterNode, *, live_within: int, forget_after: int
    ) -> list[LiveNode]:
        """Register the node or say that it lives, and list the live ones by id: those
        heard of in the last ``live_within`` microseconds by the clock of the database.

        The node itself is missing in the list when a process that started later lives
        under its id; nothing was written then. Rows that were silent for
        ``forget_after`` are deleted.
        """
        ...

    async def live_nodes(self, *, within: int) -> list[LiveNode]:
        """Those heard of in the last ``within`` microseconds, by id."""
        ...

    async def delete_node(self, node_id: str, *, started_at: int) -> bool:
        """A node leaves. False when its row is gone, or a later process's."""
        ...

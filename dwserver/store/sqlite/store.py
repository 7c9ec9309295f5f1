"""The Store on a SQLite file."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path

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
from dwserver.engine.transition import Transition
from dwserver.engine.words import CommandType
from dwserver.store.api import (
    ActivityPlace,
    ClusterNode,
    Definitions,
    DueRun,
    DueTimer,
    ExpiredLease,
    LeaseRenewal,
    LiveNode,
    MigrationReport,
    Namespace,
    Overdue,
    QueueKey,
    ReadyTask,
    RunCursor,
    RunFilter,
    RunPlace,
    RunView,
    StoredEvent,
    StoreError,
    StoreUnavailable,
    WholeRun,
    WorkerRegistration,
)
from dwserver.store.combiner import Combiner, LoadCombiner, Observe
from dwserver.store.sqlite import exports, lists, nodes, reads, registry
from dwserver.store.sqlite.bootstrap import read_report
from dwserver.store.sqlite.connections import check_file, connect_reader, connect_writer
from dwserver.store.sqlite.figures import Figures
from dwserver.store.sqlite.leadership import LeaderLeases
from dwserver.store.sqlite.outbox import delete_outbox, postpone_outbox
from dwserver.store.sqlite.queues import Queues
from dwserver.store.sqlite.renewals import renew_leases
from dwserver.store.sqlite.repair import Repair
from dwserver.store.sqlite.retention import Retention
from dwserver.store.sqlite.rollouts import Rollouts
from dwserver.store.sqlite.schedules import Schedules
from dwserver.store.sqlite.serving_lock import ServingLock
from dwserver.store.sqlite.thread import DatabaseThread, run_each
from dwserver.store.sqlite.transaction import run_in_transaction
from dwserver.store.sqlite.write import apply_transitions


class SqliteStore(
    LeaderLeases, Schedules, Retention, Repair, Figures, Queues, Rollouts
):
    """:class:`~dwserver.store.api.Store` on the file at ``path``.

    Only one open store, in whatever process, may serve a file: ``open`` raises
    StoreUnavailable for the second one. One that ``reads_only`` serves nothing: it may
    be open beside another one, and cannot write. ``observe``: see
    :data:`~dwserver.store.combiner.Observe`.
    """

    def __init__(
        self,
        path: str | Path,
        *,
        reads_only: bool = False,
        observe: Observe | None = None,
    ) -> None:
        if str(path) == ":memory:":
            raise ValueError("a SQLite store needs a file")
        self._path = Path(path)
        self._lock = ServingLock(self._path)
        connect_to_read = partial(connect_reader, self._path)
        super().__init__(
            writer=DatabaseThread(
                "sqlite-writer", partial(connect_writer, self._path), run_in_transaction
            ),
            reader=DatabaseThread("sqlite-reader", connect_to_read, run_each),
            lister=DatabaseThread("sqlite-lister", connect_to_read, run_each),
        )
        self._reads_only = reads_only
        readers = (self._reader, self._lister)
        self._threads = readers if reads_only else (self._writer, *readers)
        self._observe = observe
        self._commits = self._new_combiner()
        self._loads = LoadCombiner(self._load_runs)

    # life cycle -----------------------------------------------------------------
    async def open(self) -> None:
        """Lock the file, create it if need be, and start the threads. To read only:
        StoreUnavailable when there is no file."""
        if not self._reads_only:
            self._lock.acquire()
        elif not self._path.exists():
            raise StoreUnavailable(f"there is no database file {self._path}")
        self._commits = self._new_combiner()
        try:
            for thread in self._threads:
                await thread.start()
        except StoreError:
            await self._stop()
            raise

    async def close(self) -> None:
        """Finish what was submitted; does nothing when the store is not open."""
        await self._commits.close()
        await self._loads.close()
        await self._stop()

    async def ping(self) -> None:
        await self._reader.run(check_file)

    async def migration_report(self) -> MigrationReport:
        return await self._lister.run(read_report)

    # transitions ----------------------------------------------------------------
    async def commit(self, transition: Transition) -> bool:
        return await self._commits.commit(transition)

    # loads ----------------------------------------------------------------------
    async def load_run(self, run_id: str) -> RunState | None:
        return await self._loads.load(run_id)

    async def find_instance(self, namespace: str, workflow_id: str) -> Instance | None:
        return await self._read(reads.find_instance, namespace, workflow_id)

    async def find_task(self, namespace: str, task_id: str) -> Task | None:
        return await self._read(reads.find_task, namespace, task_id)

    async def find_closed_attempt(self, attempt_id: str) -> ClosedAttempt | None:
        return await self._read(reads.find_closed_attempt, attempt_id)

    async def run_input(self, run_id: str) -> RunInput | None:
        return await self._read(reads.find_run_input, run_id)

    async def activity_arguments(
        self, activity_ids: Sequence[str]
    ) -> dict[str, Payload | None]:
        return await self._read(reads.list_activity_arguments, activity_ids)

    async def message_payloads(
        self, run_id: str, sequences: Sequence[int]
    ) -> dict[int, Payload | None]:
        return await self._read(reads.list_message_payloads, run_id, sequences)

    async def find_command(
        self, run_id: str, request_id: str, *, command_type: CommandType | None = None
    ) -> Command | None:
        return await self._read(
            reads.find_command, run_id, request_id, command_type=command_type
        )

    async def find_command_of_workflow(
        self, run: Run, request_id: str, *, command_type: CommandType, runs: int
    ) -> Command | None:
        return await self._read(
            reads.find_command_of_workflow,
            run,
            request_id,
            command_type=command_type,
            runs=runs,
        )

    async def find_update(self, update_id: str) -> Update | None:
        return await self._read(reads.find_update, update_id)

    async def find_update_of_command(self, run_id: str, sequence: int) -> Update | None:
        return await self._read(reads.find_update_of_command, run_id, sequence)

    async def open_children(self, run_ids: Sequence[str]) -> list[Child]:
        return await self._read(reads.list_open_children, run_ids)

    async def history(
        self, run_id: str, *, after: int, upto: int | None, limit: int
    ) -> list[StoredEvent]:
        return await self._read(
            reads.list_history, run_id, after=after, upto=upto, limit=limit
        )

    # set operations -------------------------------------------------------------
    async def ready_tasks(
        self,
        keys: Sequence[QueueKey],
        *,
        now: int,
        limit: int,
        wanted: Mapping[QueueKey, Definitions] | None = None,
    ) -> list[ReadyTask]:
        return await self._read(
            reads.list_ready_tasks, keys, now=now, limit=limit, wanted=wanted or {}
        )

    async def due_timers(self, *, now: int, limit: int) -> list[DueTimer]:
        return await self._read(reads.list_due_timers, now=now, limit=limit)

    async def overdue(self, *, now: int, limit: int) -> Overdue:
        return await self._read(reads.list_overdue, now=now, limit=limit)

    async def expired_activities(self, *, now: int, limit: int) -> list[ActivityPlace]:
        return await self._read(reads.list_expired_activities, now=now, limit=limit)

    async def find_activities(self, activity_ids: Sequence[str]) -> list[ActivityPlace]:
        return await self._read(reads.find_activities, activity_ids)

    async def due_runs(self, *, now: int, limit: int) -> list[DueRun]:
        return await self._read(reads.list_due_runs, now=now, limit=limit)

    async def expired_leases(self, *, now: int, limit: int) -> list[ExpiredLease]:
        return await self._read(reads.list_expired_leases, now=now, limit=limit)

    async def waiting_queue(self, *, due_before: int) -> QueueKey | None:
        return await self._read(reads.find_waiting_queue, due_before=due_before)

    async def renew_leases(self, renewals: Sequence[LeaseRenewal]) -> list[bool]:
        return await self._write(renew_leases, renewals)

    # outbox ---------------------------------------------------------------------
    async def due_outbox(self, *, now: int, limit: int) -> list[OutboxEntry]:
        return await self._read(reads.list_due_outbox, now=now, limit=limit)

    async def delete_outbox(self, ids: Sequence[str]) -> None:
        await self._write(delete_outbox, ids)

    async def postpone_outbox(self, ids: Sequence[str], *, available_at: int) -> None:
        await self._write(postpone_outbox, ids, available_at=available_at)

    # reads for operators --------------------------------------------------------
    async def find_run_view(self, namespace: str, run_id: str) -> RunView | None:
        return await self._list(lists.find_run_view, namespace, run_id)

    async def find_run_place(self, run_id: str) -> RunPlace | None:
        return await self._list(lists.find_run_place, run_id)

    async def list_runs(
        self, run_filter: RunFilter, *, after: RunCursor | None, limit: int
    ) -> list[RunView]:
        return await self._list(lists.list_runs, run_filter, after=after, limit=limit)

    async def runs_of_instance(self, namespace: str, workflow_id: str) -> list[RunView]:
        return await self._list(lists.list_runs_of_instance, namespace, workflow_id)

    async def failures_of_run(self, run_id: str, *, limit: int) -> list[Failure]:
        return await self._list(lists.list_failures_of_run, run_id, limit=limit)

    async def whole_run(self, run: Run) -> WholeRun:
        return await self._list(exports.read_whole_run, run)

    async def tasks_by_id(self, task_ids: Sequence[str]) -> list[Task]:
        return await self._list(exports.list_tasks, task_ids)

    async def closed_attempts_by_id(
        self, attempt_ids: Sequence[str]
    ) -> list[ClosedAttempt]:
        return await self._list(exports.list_closed_attempts, attempt_ids)

    # namespaces -----------------------------------------------------------------
    async def list_namespaces(self) -> list[Namespace]:
        return await self._list(registry.list_namespaces)

    async def find_namespace(self, name: str) -> Namespace | None:
        return await self._read(registry.find_namespace, name)

    async def create_namespace(self, namespace: Namespace) -> bool:
        return await self._write(registry.create_namespace, namespace)

    async def update_namespace(
        self,
        name: str,
        *,
        description: str | None = None,
        retention_days: int | None = None,
        external_storage: JsonMap | None = None,
        at: int,
    ) -> Namespace | None:
        return await self._write(
            registry.update_namespace,
            name,
            description=description,
            retention_days=retention_days,
            external_storage=external_storage,
            at=at,
        )

    # search attributes ----------------------------------------------------------
    async def search_attribute_types(self, namespace: str) -> dict[str, str]:
        return await self._read(registry.list_search_attributes, namespace)

    async def put_search_attribute(
        self, namespace: str, name: str, *, value_type: str, created_at: int
    ) -> bool:
        return await self._write(
            registry.put_search_attribute,
            namespace,
            name,
            value_type=value_type,
            created_at=created_at,
        )

    async def delete_search_attribute(self, namespace: str, name: str) -> bool:
        return await self._write(registry.delete_search_attribute, namespace, name)

    # workers --------------------------------------------------------------------
    async def find_worker(
        self, namespace: str, worker_id: str
    ) -> WorkerRegistration | None:
        return await self._read(registry.find_worker, namespace, worker_id)

    async def put_worker(
        self, worker: WorkerRegistration, *, over: Mapping[str, str] | None = None
    ) -> WorkerRegistration | None:
        return await self._write(registry.put_worker, worker, over=over)

    async def renew_worker(
        self, worker: WorkerRegistration, *, details: JsonMap, at: int
    ) -> WorkerRegistration | None:
        return await self._write(registry.renew_worker, worker, details=details, at=at)

    async def delete_worker(self, namespace: str, worker_id: str) -> bool:
        return await self._write(registry.delete_worker, namespace, worker_id)

    async def delete_silent_workers(self, *, before: int, limit: int) -> int:
        return await self._write(
            registry.delete_silent_workers, before=before, limit=limit
        )

    async def touch_workers(
        self, seen: Sequence[tuple[str, str]], *, at: int
    ) -> list[WorkerRegistration]:
        return await self._write(registry.touch_workers, seen, at=at)

    async def list_workers(
        self, namespace: str, *, queue: str | None
    ) -> list[WorkerRegistration]:
        return await self._list(registry.list_workers, namespace, queue=queue)

    async def list_workers_of_queue(
        self, namespace: str, queue: str, *, silent_since: int, limit: int
    ) -> list[WorkerRegistration]:
        return await self._list(
            registry.list_workers_of_queue, namespace, queue, silent_since, limit
        )

    # nodes ----------------------------------------------------------------------
    async def heartbeat_node(
        self, node: ClusterNode, *, live_within: int, forget_after: int
    ) -> list[LiveNode]:
        return await self._write(
            nodes.heartbeat_node,
            node,
            live_within=live_within,
            forget_after=forget_after,
        )

    async def live_nodes(self, *, within: int) -> list[LiveNode]:
        return await self._list(nodes.list_live_nodes, within=within)

    async def delete_node(self, node_id: str, *, started_at: int) -> bool:
        return await self._write(nodes.delete_node, node_id, started_at=started_at)

    # threads --------------------------------------------------------------------
    def _new_combiner(self) -> Combiner:
        return Combiner(self._apply, observe=self._observe)

    async def _apply(self, transitions: Sequence[Transition]) -> list[bool]:
        return await self._write(apply_transitions, transitions)

    async def _load_runs(self, run_ids: Sequence[str]) -> dict[str, RunState]:
        return await self._read(reads.load_runs, run_ids)

    async def _stop(self) -> None:
        # The writer last: closing the last connection folds the log into the file.
        for thread in reversed(self._threads):
            await thread.stop()
        self._lock.release()

"""Leased workflow tasks: history, heartbeat, complete, fail (protocol §6)."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TypeVar

from dwserver.engine.commands.activities import ScheduleActivity
from dwserver.engine.commands.batch import Completed, Completion, complete_workflow_task
from dwserver.engine.commands.children import StartChildWorkflow
from dwserver.engine.commands.kinds import WorkflowCommand
from dwserver.engine.draft import Draft
from dwserver.engine.leases import check_workflow_task, current
from dwserver.engine.lifecycle.task_failure import (
    TaskFailed,
    TaskFailure,
    fail_workflow_task,
)
from dwserver.engine.model import Run, Task
from dwserver.engine.outcome import Rejection
from dwserver.engine.records import quick_init, replace
from dwserver.engine.run_timeout import RunTimedOut
from dwserver.engine.words import EventType, TaskKind
from dwserver.protocol.payloads.framing import Framing
from dwserver.protocol.sdk_releases import unseen_by_replay
from dwserver.services.backgrounds import CompletionBackground
from dwserver.services.deliveries import Deliveries, HistoryRequest
from dwserver.services.renewals import Renewals
from dwserver.services.runs import Runs
from dwserver.services.tasks import Tasks
from dwserver.services.workers import Workers
from dwserver.store.api import LeaseRenewal, Store

Reply = TypeVar("Reply")
NOT_FOUND = Rejection("task_not_found", "The workflow task was not found.")


@quick_init
@dataclass(frozen=True, slots=True)
class TaskRef:
    """How a worker names a leased workflow task."""

    namespace: str
    task_id: str
    owner: str
    attempt: int


@dataclass(frozen=True, slots=True)
class Renewed:
    task: Task
    run: Run
    lease_expires_at: int


class WorkflowTasks:
    def __init__(
        self,
        store: Store,
        *,
        runs: Runs,
        tasks: Tasks,
        deliveries: Deliveries,
        workers: Workers,
        renewals: Renewals,
        now: Callable[[], int],
        lease_duration: int,
    ) -> None:
        self._store = store
        self._runs = runs
        self._tasks = tasks
        self._deliveries = deliveries
        self._workers = workers
        self._renewals = renewals
        self._now = now
        self._lease_duration = lease_duration

    async def complete(
        self, ref: TaskRef, commands: Sequence[WorkflowCommand]
    ) -> Completed | RunTimedOut | Rejection:
        """Apply the commands of a completion, all or none."""
        task = await self._find(ref)
        if task is None:
            return NOT_FOUND
        completion = Completion(
            task=task,
            owner=ref.owner,
            attempt=ref.attempt,
            commands=commands,
            unseen=await self._unseen(ref, commands),
        )
        background = CompletionBackground(self._store, commands)
        return await self._runs.decide(
            task.run_id,
            lambda draft: complete_workflow_task(
                draft, replace(completion, background=background.known)
            ),
            prepare=background.prepare,
        )

    async def _unseen(
        self, ref: TaskRef, commands: Sequence[WorkflowCommand]
    ) -> frozenset[EventType]:
        """The ends of steps that the worker's replay passes over."""
        repeatable = (ScheduleActivity, StartChildWorkflow)
        if not any(isinstance(command, repeatable) for command in commands):
            return frozenset()
        worker = await self._workers.find(ref.namespace, ref.owner)
        return unseen_by_replay(worker.sdk_version if worker else None)

    async def fail(
        self, ref: TaskRef, *, message: str, is_waiting: bool
    ) -> TaskFailed | Rejection:
        task = await self._find(ref)
        if task is None:
            return NOT_FOUND
        failure = TaskFailure(
            task=task,
            owner=ref.owner,
            attempt=ref.attempt,
            message=message,
            is_waiting=is_waiting,
        )
        return await self._decide(
            task, lambda draft: fail_workflow_task(draft, failure)
        )

    async def history(
        self, ref: TaskRef, *, after: int, framing: Framing, wanted: HistoryRequest
    ) -> bytes | Rejection:
        """A further page of the history that the lease delivered, as JSON members."""
        checked = await self._checked(ref)
        if isinstance(checked, Rejection):
            return checked
        _, task = checked
        return await self._deliveries.history_page(
            task.run_id,
            after=after,
            upto=task.snapshot_sequence,
            framing=framing,
            wanted=wanted,
        )

    async def heartbeat(self, ref: TaskRef) -> Renewed | Rejection:
        """Renew the lease; renewals of many tasks share one statement."""
        checked = await self._checked(ref)
        if isinstance(checked, Rejection):
            return checked
        run, task = checked
        expires_at = self._now() + self._lease_duration
        renewal = LeaseRenewal(task.id, ref.owner, expires_at, attempt=ref.attempt)
        if await self._renewals.renew(renewal):
            self._runs.hot.drop(task.run_id)
            return Renewed(task, run, expires_at)
        rechecked = await self._checked(ref)
        if isinstance(rechecked, Rejection):
            return rechecked
        return Rejection("task_not_leased", "The workflow task is not leased.")

    async def _checked(self, ref: TaskRef) -> tuple[Run, Task] | Rejection:
        """The task, if it is leased as the worker says; nothing is changed."""
        found = await self._find(ref)
        if found is None:
            return NOT_FOUND

        def check(draft: Draft) -> tuple[Run, Task] | Rejection:
            task = current(draft, found)
            refused = check_workflow_task(
                draft.run,
                task,
                owner=ref.owner,
                attempt=ref.attempt,
                context=draft.context,
            )
            return refused or (draft.run, task)

        return await self._decide(found, check)

    async def _find(self, ref: TaskRef) -> Task | None:
        return await self._tasks.find(ref.namespace, ref.task_id, TaskKind.WORKFLOW)

    async def _decide(self, task: Task, decision: Callable[[Draft], Reply]) -> Reply:
        return await self._runs.decide(task.run_id, decision)

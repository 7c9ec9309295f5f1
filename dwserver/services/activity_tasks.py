"""Activity tasks after their lease: complete, fail, heartbeat (protocol §9)."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from dwserver.engine.draft import Draft
from dwserver.engine.leases import activity_of, after, current
from dwserver.engine.lifecycle.activity_outcome import (
    AttemptFailure,
    Recorded,
    Report,
    record_outcome,
)
from dwserver.engine.lifecycle.heartbeat import HeartbeatState, heartbeat_state
from dwserver.engine.model import Payload, RetryPolicy, Task
from dwserver.engine.outcome import Rejection
from dwserver.engine.words import TaskKind
from dwserver.services.renewals import Renewals
from dwserver.services.runs import Runs
from dwserver.services.tasks import Tasks
from dwserver.store.api import LeaseRenewal, Store

NOT_FOUND = Rejection("task_not_found", "The activity task was not found.")


@dataclass(frozen=True, slots=True)
class AttemptRef:
    """How a worker names the attempt it works on."""

    namespace: str
    task_id: str
    attempt_id: str
    owner: str


@dataclass(frozen=True, slots=True)
class Beat:
    """Reply to a heartbeat; instants are set when the lease was renewed."""

    state: HeartbeatState
    lease_expires_at: int | None
    last_heartbeat_at: int | None


class ActivityTasks:
    def __init__(
        self,
        store: Store,
        *,
        runs: Runs,
        tasks: Tasks,
        renewals: Renewals,
        now: Callable[[], int],
        lease_duration: int,
    ) -> None:
        self._store = store
        self._runs = runs
        self._tasks = tasks
        self._renewals = renewals
        self._now = now
        self._lease_duration = lease_duration

    async def complete(
        self, ref: AttemptRef, result: Payload | None
    ) -> Recorded | Rejection:
        return await self._record(ref, result=result)

    async def fail(
        self, ref: AttemptRef, failure: AttemptFailure
    ) -> Recorded | Rejection:
        return await self._record(ref, failure=failure)

    async def _record(
        self,
        ref: AttemptRef,
        *,
        result: Payload | None = None,
        failure: AttemptFailure | None = None,
    ) -> Recorded | Rejection:
        report = await self._report(ref, result, failure)
        if report is None:
            return NOT_FOUND
        return await self._runs.decide(
            report.task.run_id, lambda draft: record_outcome(draft, report)
        )

    async def heartbeat(self, ref: AttemptRef) -> Beat | Rejection:
        """Renew the lease and the heartbeat deadline; tell a worker when to stop."""
        report = await self._report(ref, None, None)
        if report is None:
            return NOT_FOUND

        def look(draft: Draft) -> tuple[HeartbeatState | Rejection, Task, int | None]:
            task = current(draft, report.task)
            activity = activity_of(draft, task)
            policy = (activity and activity.retry_policy) or RetryPolicy()
            state = heartbeat_state(draft.run, task, activity=activity, report=report)
            return state, task, policy.heartbeat_timeout

        state, task, timeout = await self._runs.decide(report.task.run_id, look)
        if isinstance(state, Rejection):
            return state
        if not state.can_continue:
            return Beat(state, task.lease_expires_at, None)
        now = self._now()
        expires_at = now + self._lease_duration
        renewal = LeaseRenewal(
            task.id,
            ref.owner,
            expires_at,
            attempt_id=ref.attempt_id,
            activity_id=task.activity_id,
            heartbeat_deadline_at=after(now, timeout),
            last_heartbeat_at=now,
        )
        is_renewed = await self._renewals.renew(renewal)
        # The hot state does not know the new expiry; the next decision reads it.
        self._runs.hot.drop(task.run_id)
        if is_renewed:
            return Beat(state, expires_at, now)
        state, task, _ = await self._runs.decide(report.task.run_id, look)
        if isinstance(state, Rejection):
            return state
        return Beat(state.stopped("stale_attempt"), task.lease_expires_at, None)

    async def _report(
        self,
        ref: AttemptRef,
        result: Payload | None,
        failure: AttemptFailure | None,
    ) -> Report | None:
        task = await self._tasks.find(ref.namespace, ref.task_id, TaskKind.ACTIVITY)
        if task is None:
            return None
        closed = None
        if task.attempt_id != ref.attempt_id or not task.is_open:
            closed = await self._store.find_closed_attempt(ref.attempt_id)
        return Report(
            task=task,
            attempt_id=ref.attempt_id,
            owner=ref.owner,
            result=result,
            failure=failure,
            closed=closed,
        )

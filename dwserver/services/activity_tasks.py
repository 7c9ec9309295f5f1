"""Activity tasks after their lease: complete, fail, heartbeat (protocol §9)."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import TypeVar

from dwserver.engine.lifecycle.activity_outcome import (
    AttemptFailure,
    Recorded,
    Report,
    record_outcome,
)
from dwserver.engine.lifecycle.heartbeat import HeartbeatState, heartbeat
from dwserver.engine.model import JsonMap, Payload
from dwserver.engine.outcome import Rejection
from dwserver.engine.records import quick_init, replace
from dwserver.engine.words import TaskKind
from dwserver.services.renewals import Renewals
from dwserver.services.runs import Runs
from dwserver.services.tasks import Tasks
from dwserver.store.api import LeaseRenewal, Store

Answer = TypeVar("Answer")
NOT_FOUND = Rejection("task_not_found", "The activity task was not found.")


@quick_init
@dataclass(frozen=True, slots=True)
class AttemptRef:
    """How a worker names the attempt it works on."""

    namespace: str
    task_id: str
    attempt_id: str
    owner: str


class ActivityTasks:
    def __init__(
        self,
        store: Store,
        *,
        runs: Runs,
        tasks: Tasks,
        renewals: Renewals,
    ) -> None:
        self._store = store
        self._runs = runs
        self._tasks = tasks
        self._renewals = renewals

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
        async def record(report: Report) -> Recorded | Rejection:
            report = replace(report, result=result, failure=failure)
            return await self._runs.decide(
                report.task.run_id, lambda draft: record_outcome(draft, report)
            )

        return await self._about(
            ref, record, is_refusal=lambda answer: isinstance(answer, Rejection)
        )

    async def heartbeat(
        self, ref: AttemptRef, progress: JsonMap | None = None
    ) -> HeartbeatState | Rejection:
        """Renew the lease and the heartbeat deadline; tell a worker when to stop."""

        async def beat(report: Report) -> HeartbeatState | Rejection:
            return await self._beat(ref, report, progress)

        return await self._about(
            ref,
            beat,
            is_refusal=lambda answer: (
                isinstance(answer, Rejection) or not answer.can_continue
            ),
        )

    async def _beat(
        self, ref: AttemptRef, report: Report, progress: JsonMap | None
    ) -> HeartbeatState | Rejection:
        run_id = report.task.run_id
        state = await self._runs.decide(
            run_id, lambda draft: heartbeat(draft, report, progress)
        )
        if isinstance(state, Rejection) or not state.can_continue or state.is_recorded:
            return state
        is_renewed = await self._renewals.renew(_renewal(ref, state))
        # The hot state does not know the new expiry; the next decision reads it.
        self._runs.hot.drop(run_id)
        return state if is_renewed else state.stopped("stale_attempt")

    async def _about(
        self,
        ref: AttemptRef,
        decide: Callable[[Report], Awaitable[Answer]],
        *,
        is_refusal: Callable[[Answer], bool],
    ) -> Answer | Rejection:
        """What ``decide`` answers about the attempt. A refusal of one that was found
        open is given only after a second look: what this process knew was old."""
        report = await self._report(ref)
        if report is None:
            return NOT_FOUND
        answer = await decide(report)
        if not (report.task.is_open and is_refusal(answer)):
            return answer
        report = await self._report(ref)
        return NOT_FOUND if report is None else await decide(report)

    async def _report(self, ref: AttemptRef) -> Report | None:
        task = await self._tasks.find(ref.namespace, ref.task_id, TaskKind.ACTIVITY)
        if task is None:
            return None
        closed = None
        if task.attempt_id != ref.attempt_id or not task.is_open:
            closed = await self._store.find_closed_attempt(ref.attempt_id)
        return Report(
            task=task, attempt_id=ref.attempt_id, owner=ref.owner, closed=closed
        )


def _renewal(ref: AttemptRef, state: HeartbeatState) -> LeaseRenewal:
    task, activity = state.task, state.activity
    if task.lease_expires_at is None or activity is None:
        raise ValueError("an activity that goes on is leased")
    return LeaseRenewal(
        task.id,
        ref.owner,
        task.lease_expires_at,
        attempt_id=ref.attempt_id,
        activity_id=activity.id,
        heartbeat_deadline_at=activity.heartbeat_deadline_at,
        last_heartbeat_at=activity.last_heartbeat_at,
    )

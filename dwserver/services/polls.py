"""Long polls for workflow and activity tasks (``spec/worker-protocol.md §5``)."""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from dataclasses import dataclass
from typing import Any

from dwserver.engine.draft import Draft
from dwserver.engine.leases import Leased, give_back, lease
from dwserver.engine.outcome import Rejection
from dwserver.engine.records import quick_init
from dwserver.engine.run_timeout import time_out_run
from dwserver.engine.words import TaskKind, TaskStatus
from dwserver.matching.matcher import Matcher
from dwserver.matching.pollers import Delivery, Poller
from dwserver.services.poll_admission import admitted_worker
from dwserver.services.poll_news import LeaseNote, PollNews, PollRequestKey
from dwserver.services.poll_requests import PollRequests
from dwserver.services.queue_admission import Budget, QueueAdmission
from dwserver.services.runs import RunContended, RunNotFound, Runs
from dwserver.services.workers import DRAINING, Workers
from dwserver.store.api import QueueKey, ReadyTask, Store, WorkerRegistration

NOT_CLAIMABLE = Rejection("task_not_claimable", "Somebody else was faster.")


@quick_init
@dataclass(frozen=True, slots=True, kw_only=True)
class PollRequest:
    """A validated poll. ``wait_seconds``: how long it may be held."""

    namespace: str
    kind: TaskKind
    worker_id: str
    task_queue: str
    wait_seconds: float
    is_connected: Callable[[], bool]
    build_id: str | None = None
    poll_request_id: str | None = None


class Polls:
    """Leases one task to a poll, or none within its time."""

    def __init__(
        self,
        store: Store,
        *,
        runs: Runs,
        matcher: Matcher,
        workers: Workers,
        admission: QueueAdmission,
        news: PollNews,
        now: Callable[[], int],
        spawn: Callable[[str, Coroutine[Any, Any, None]], object],
    ) -> None:
        self._store = store
        self._runs = runs
        self._matcher = matcher
        self._workers = workers
        self._admission = admission
        self._news = news
        self._now = now
        self._spawn = spawn
        self._requests: PollRequests[Delivery] = PollRequests(
            news=news, note=_note, restore=self._restore, now=now
        )
        matcher.bind(self._claim)

    async def poll(self, request: PollRequest) -> Delivery | Rejection | Budget | None:
        """A leased task, None for an empty poll, why the queue's caps kept it empty,
        or the refusal of the worker."""
        worker = await admitted_worker(
            self._workers,
            namespace=request.namespace,
            worker_id=request.worker_id,
            task_queue=request.task_queue,
            build_id=request.build_id,
        )
        if isinstance(worker, Rejection):
            return worker
        found = await self._lease(worker, request)
        key = QueueKey(request.namespace, request.task_queue, request.kind)
        if found is not None or not self._admission.is_capped(key):
            return found
        budget = await self._admission.budget(key)
        return None if budget is Budget.ACCEPTING else budget

    async def _lease(
        self, worker: WorkerRegistration, request: PollRequest
    ) -> Delivery | None:
        if request.poll_request_id is None:
            return await self._wait(worker, request)
        key = PollRequestKey(
            QueueKey(request.namespace, request.task_queue, request.kind),
            request.worker_id,
            worker.build_id,
            request.poll_request_id,
        )
        return await self._requests.once(
            key,
            lambda: self._wait(worker, request, key),
            wait_seconds=request.wait_seconds,
        )

    async def undeliverable(self, delivery: Delivery) -> None:
        """The answer did not reach the client: give the lease back at once."""
        leased = delivery.leased
        await self._runs.decide(
            leased.task.run_id, lambda draft: give_back(draft, leased)
        )

    async def _wait(
        self,
        worker: WorkerRegistration,
        request: PollRequest,
        key: PollRequestKey | None = None,
    ) -> Delivery | None:
        is_workflow = request.kind is TaskKind.WORKFLOW
        types = worker.workflow_types if is_workflow else worker.activity_types
        poller = Poller(
            key=QueueKey(request.namespace, request.task_queue, request.kind),
            worker_id=request.worker_id,
            build_id=worker.build_id,
            types=frozenset(types) or None,
            is_connected=self._workers.may_claim(worker, request.is_connected),
            fingerprints=worker.fingerprints,
            is_pinned=self._runs.policy.pins_definitions,
        )
        if worker.status == DRAINING:
            await self._matcher.idle(seconds=request.wait_seconds)
            return None
        if key is None or not self._news.is_shared:
            return await self._matcher.wait(poller, seconds=request.wait_seconds)

        def answer(note: LeaseNote) -> None:
            self._spawn("poll-answer", self._answer(poller, note))

        with self._news.expecting(key, answer):
            return await self._matcher.wait(poller, seconds=request.wait_seconds)

    async def _answer(self, poller: Poller, note: LeaseNote) -> None:
        """Another process has leased a task to the poll that waits here."""
        delivery = await self._restore(note, poller.worker_id)
        if delivery is not None:
            self._matcher.answer_waiting(poller, delivery)

    async def _restore(self, note: LeaseNote, worker_id: str) -> Delivery | None:
        state = await self._store.load_run(note.home)
        task = state.tasks.get(note.task_id) if state else None
        if state is None or task is None or task.status is not TaskStatus.LEASED:
            return None
        if (task.lease_owner, task.attempt) != (worker_id, note.attempt):
            return None
        if (task.lease_expires_at or 0) <= self._now():
            return None
        activity = next(
            (a for a in state.activities.values() if a.id == task.activity_id), None
        )
        return Delivery(Leased(state.run, task, activity))

    async def _claim(self, candidate: ReadyTask, poller: Poller) -> Delivery | None:
        return await self._admission.claim(
            candidate.key, lambda: self._take(candidate, poller)
        )

    async def _take(self, candidate: ReadyTask, poller: Poller) -> Delivery | None:
        def claim(draft: Draft) -> Delivery | Rejection | None:
            if time_out_run(draft):
                return None
            touched = draft.touched
            task = draft.tasks.get(candidate.task_id)
            leased = task and lease(
                draft,
                task,
                poller.worker_id,
                fingerprint=poller.fingerprints.get(task.type_name),
            )
            if leased:
                return self._delivery(leased)
            # The hot state may not know of a task that another process has made.
            return NOT_CLAIMABLE if draft.touched == touched else None

        try:
            claimed = await self._runs.decide(candidate.run_id, claim)
        except (RunNotFound, RunContended):
            return None
        return None if isinstance(claimed, Rejection) else claimed

    def _delivery(self, leased: Leased) -> Delivery:
        hot = self._runs.hot.get(leased.run.id)
        activity = leased.activity
        if hot is None or activity is None or activity.id not in hot.arguments:
            return Delivery(leased)
        return Delivery(leased, hot.arguments[activity.id], has_arguments=True)


def _note(delivery: Delivery) -> LeaseNote:
    task = delivery.leased.task
    return LeaseNote(task.run_id, task.id, task.attempt, task.lease_expires_at or 0)

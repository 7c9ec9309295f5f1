"""The worker of a load process: pollers that take tasks and answer them."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any, Protocol

from benchmarks.load.http_client import Connection
from benchmarks.load.session import (
    ACTIVITY_TYPE,
    WORKFLOW_TYPE,
    Document,
    Session,
    now,
)

Command = dict[str, Any]

# A server that answers empty polls at once must not be polled in a tight loop.
AFTER_EMPTY_POLL_SECONDS = 0.01
HELD_SECONDS = 0.005


def count_events(events: Sequence[Mapping[str, object]], event_type: str) -> int:
    return sum(event.get("event_type") == event_type for event in events)


async def register(
    session: Session,
    connection: Connection,
    *,
    worker_id: str,
    queue: str,
    slots: int,
) -> bool:
    """Whether the server knows the worker now, with ``slots`` for each task kind."""
    body = {
        "worker_id": worker_id,
        "task_queue": queue,
        "runtime": "python",
        "sdk_version": "durable-workflow-python/bench",
        "supported_workflow_types": [WORKFLOW_TYPE],
        "supported_activity_types": [ACTIVITY_TYPE],
        "max_concurrent_workflow_tasks": slots,
        "max_concurrent_activity_tasks": slots,
    }
    answer = await session.post(connection, "/api/worker/register", body)
    return answer is not None


class Workflow(Protocol):
    """What the workflow code of a load does with a task.

    ``is_long``: its history may be longer than a page, which it does not need.
    """

    is_long: bool

    def decide(self, task: Document) -> list[Command]: ...

    def acknowledged(
        self, task: Document, commands: list[Command], *, sent_at: float
    ) -> None:
        """The server has taken the commands that were sent at ``sent_at``."""


class Worker:
    """Polls for tasks of both kinds; workflow tasks are answered by ``workflow``.

    ``closed`` counts the acknowledged completions of each workflow id.
    """

    def __init__(self, session: Session, workflow: Workflow) -> None:
        self.closed: Counter[str] = Counter()
        self.worker_id = f"bench-{session.order.tag}"
        self._session = session
        self._workflow = workflow
        self._waiting: dict[str, asyncio.Future[float]] = {}

    async def start(self, pollers: int) -> None:
        """Register, then open ``pollers`` polls for each kind of task."""
        connection = self._session.worker_connection()
        await register(
            self._session,
            connection,
            worker_id=self.worker_id,
            queue=self._session.queue,
            slots=pollers,
        )
        for number in range(pollers):
            self._session.spawn(self._poll_workflow_tasks(number))
            self._session.spawn(self._poll_activity_tasks(number))

    def completion(self, workflow_id: str) -> asyncio.Future[float]:
        """Resolved with the moment at which the completion was acknowledged."""
        future: asyncio.Future[float] = asyncio.get_running_loop().create_future()
        self._waiting[workflow_id] = future
        return future

    def forget(self, workflow_id: str) -> None:
        self._waiting.pop(workflow_id, None)

    async def _poll_workflow_tasks(self, number: int) -> None:
        connection = self._session.worker_connection()
        path = "/api/worker/workflow-tasks"
        polls = 0
        while not self._session.is_stopping:
            polls += 1
            task = await self._poll(connection, path, f"workflow-{number}-{polls}")
            if task is not None:
                await self._answer_workflow_task(connection, path, task)

    async def _answer_workflow_task(
        self, connection: Connection, path: str, task: Document
    ) -> None:
        commands = self._workflow.decide(task)
        self._session.counts["workflow tasks"] += 1
        body = {
            "lease_owner": task["lease_owner"],
            "workflow_task_attempt": task["workflow_task_attempt"],
            "commands": commands,
        }
        sent_at = now()
        answer = await self._session.post(
            connection, f"{path}/{task['task_id']}/complete", body
        )
        if answer is None:
            return
        self._workflow.acknowledged(task, commands, sent_at=sent_at)
        if commands[-1]["type"] != "complete_workflow":
            return
        workflow_id = task["workflow_id"]
        self.closed[workflow_id] += 1
        waiting = self._waiting.pop(workflow_id, None)
        if waiting is not None and not waiting.done():
            waiting.set_result(now())

    async def _poll_activity_tasks(self, number: int) -> None:
        connection = self._session.worker_connection()
        path = "/api/worker/activity-tasks"
        polls = 0
        while not self._session.is_stopping:
            polls += 1
            task = await self._poll(connection, path, f"activity-{number}-{polls}")
            if task is None:
                continue
            self._session.counts["activity tasks"] += 1
            body = {
                "activity_attempt_id": task["activity_attempt_id"],
                "lease_owner": task["lease_owner"],
                "result": self._session.result,
            }
            await self._session.post(
                connection, f"{path}/{task['task_id']}/complete", body
            )

    async def _poll(
        self, connection: Connection, path: str, request: str
    ) -> Document | None:
        body = {
            "worker_id": self.worker_id,
            "task_queue": self._session.queue,
            "poll_request_id": f"{self._session.order.tag}-{request}",
        }
        asked_at = now()
        answer = await self._session.post(connection, f"{path}/poll", body)
        if answer is None:
            return None
        task: Document | None = answer.get("task")
        if task is None:
            self._session.counts["empty polls"] += 1
            if now() - asked_at < HELD_SECONDS:
                await asyncio.sleep(AFTER_EMPTY_POLL_SECONDS)
        elif task.get("next_history_page_token") and not self._workflow.is_long:
            self._session.errors["generator: history of more than one page"] += 1
        return task

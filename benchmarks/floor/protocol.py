"""Runs, tasks and waiting polls in memory: what the generator needs of the protocol."""

from __future__ import annotations

import asyncio
import itertools
from collections import defaultdict, deque
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, TypeAlias

import orjson

from benchmarks.floor.rows import Rows

Document: TypeAlias = dict[str, Any]
Write: TypeAlias = Callable[[Rows], Awaitable[None]]

POLL_SECONDS = 30.0
RECORDED_AT = "2026-01-01T00:00:00.000000Z"
# Every worker answer ends with it; a real server publishes about as much.
CAPABILITIES = orjson.dumps(
    {
        "protocol_version": "1.0",
        "server_capabilities": {
            "long_poll_timeout": POLL_SECONDS,
            "supported_workflow_task_commands": [
                "complete_workflow",
                "fail_workflow",
                "continue_as_new",
                "schedule_activity",
                "start_timer",
                "start_child_workflow",
                "record_side_effect",
                "record_version_marker",
                "upsert_search_attributes",
            ],
        },
    }
)[1:]


class TaskKind(StrEnum):
    WORKFLOW = "workflow"
    ACTIVITY = "activity"


@dataclass(slots=True)
class Run:
    """``history`` is dropped when the run closes; ``pending`` are open activities."""

    run_id: str
    workflow_id: str
    queue: str
    status: str = "pending"
    history: list[Document] = field(default_factory=list)
    last_sequence: int = 0
    pending: int = 0


@dataclass(frozen=True, slots=True)
class Task:
    """``document`` is what the poll answers, without a workflow task's history."""

    kind: TaskKind
    run: Run
    document: Document


class Floor:
    """``write`` returns when its rows are durable; nothing is answered before."""

    def __init__(self, write: Write) -> None:
        self._write = write
        self._numbers = itertools.count(1)
        self._runs: dict[str, Run] = {}
        self._leased: dict[str, Task] = {}
        self._ready: defaultdict[tuple[TaskKind, str], deque[Task]]
        self._ready = defaultdict(deque)
        self._polls: defaultdict[tuple[TaskKind, str], deque[asyncio.Future[Task]]]
        self._polls = defaultdict(deque)

    # --- control plane ----------------------------------------------------------------

    async def start(self, body: Document) -> bytes:
        run = Run(f"r{next(self._numbers)}", body["workflow_id"], body["task_queue"])
        rows = Rows()
        rows.add("start_instance", run.workflow_id, run.run_id)
        rows.add("start_run", run.run_id, run.workflow_id, run.queue)
        self._append(rows, run, "StartAccepted", {})
        self._append(rows, run, "WorkflowStarted", {"input": body["input"]})
        task = self._workflow_task(rows, run)
        await self._write(rows)
        self._runs[run.workflow_id] = run
        self._offer(task)
        return orjson.dumps(
            {
                "workflow_id": run.workflow_id,
                "run_id": run.run_id,
                "workflow_type": "bench",
                "status": run.status,
                "outcome": "started_new",
            }
        )

    async def describe(self, workflow_id: str) -> bytes:
        run = self._runs.get(workflow_id)
        status = run.status if run else None
        return orjson.dumps({"workflow_id": workflow_id, "status": status})

    # --- worker plane -----------------------------------------------------------------

    async def register(self, body: Document) -> bytes:
        return _worker_answer({"worker_id": body["worker_id"], "registered": True})

    async def poll(self, kind: TaskKind, body: Document) -> bytes:
        task = await self._take(kind, body["task_queue"])
        if task is None:
            return _worker_answer({"task": None})
        document = {**task.document, "lease_owner": body["worker_id"]}
        if kind is TaskKind.WORKFLOW:
            history = task.run.history
            document["history_events"] = history
            document["total_history_events"] = len(history)
            document["next_history_page_token"] = None
        self._leased[document["task_id"]] = task
        return _worker_answer({"task": document})

    async def complete_workflow_task(self, task_id: str, body: Document) -> bytes:
        run = self._leased.pop(task_id).run
        rows = Rows()
        rows.add("close_task", task_id)
        created: list[Task] = []
        for command in body["commands"]:
            if command["type"] == "schedule_activity":
                created.append(self._schedule(rows, run, command))
            else:
                self._append(rows, run, "WorkflowCompleted", {})
                run.status = "completed"
                run.history = []
        if created:
            run.status = "waiting"
            run.pending = len(created)
        rows.change_run(run.run_id, run.status, run.last_sequence)
        await self._write(rows)
        for task in created:
            self._offer(task)
        return _acknowledged(task_id, run)

    async def complete_activity_task(self, task_id: str, body: Document) -> bytes:
        run = self._leased.pop(task_id).run
        rows = Rows()
        rows.add("close_task", task_id)
        rows.add("complete_activity", task_id)
        rows.add("complete_attempt", task_id)
        self._append(rows, run, "ActivityCompleted", {"result": body["result"]})
        run.pending -= 1
        # The worker has nothing to do before the last of its parallel activities.
        task = None if run.pending else self._workflow_task(rows, run)
        rows.change_run(run.run_id, run.status, run.last_sequence)
        await self._write(rows)
        if task is not None:
            self._offer(task)
        return _acknowledged(task_id, run)

    # --- parts of a change ------------------------------------------------------------

    def _append(self, rows: Rows, run: Run, kind: str, payload: Document) -> None:
        run.last_sequence += 1
        event_id = f"{run.run_id}e{run.last_sequence}"
        rows.add("append_event", run.run_id, run.last_sequence, event_id, kind)
        run.history.append(
            {
                "id": event_id,
                "sequence": run.last_sequence,
                "event_type": kind,
                "payload": payload,
                "timestamp": RECORDED_AT,
            }
        )

    def _workflow_task(self, rows: Rows, run: Run) -> Task:
        document = self._task_document(rows, run, TaskKind.WORKFLOW)
        return Task(TaskKind.WORKFLOW, run, {**document, "workflow_task_attempt": 1})

    def _schedule(self, rows: Rows, run: Run, command: Document) -> Task:
        document = self._task_document(rows, run, TaskKind.ACTIVITY)
        task_id = document["task_id"]
        rows.add("insert_activity", task_id, run.run_id, task_id)
        rows.add("insert_attempt", task_id, task_id)
        arguments = command["arguments"]
        self._append(rows, run, "ActivityScheduled", {"arguments": arguments})
        self._append(rows, run, "ActivityStarted", {})
        more = {
            "activity_attempt_id": task_id,
            "attempt_number": 1,
            "activity_type": command["activity_type"],
            "arguments": arguments,
        }
        return Task(TaskKind.ACTIVITY, run, {**document, **more})

    def _task_document(self, rows: Rows, run: Run, kind: TaskKind) -> Document:
        task_id = f"t{next(self._numbers)}"
        rows.add("insert_task", task_id, run.run_id, run.queue, kind)
        return {
            "task_id": task_id,
            "workflow_id": run.workflow_id,
            "run_id": run.run_id,
            "workflow_type": "bench",
            "task_queue": run.queue,
        }

    # --- matching ---------------------------------------------------------------------

    def _offer(self, task: Task) -> None:
        """To the poll that waits longest, else kept for the next one."""
        place = task.kind, task.run.queue
        polls = self._polls[place]
        while polls:
            poll = polls.popleft()
            if not poll.done():
                poll.set_result(task)
                return
        self._ready[place].append(task)

    async def _take(self, kind: TaskKind, queue: str) -> Task | None:
        ready = self._ready[kind, queue]
        if ready:
            return ready.popleft()
        poll: asyncio.Future[Task] = asyncio.get_running_loop().create_future()
        self._polls[kind, queue].append(poll)
        try:
            return await asyncio.wait_for(poll, POLL_SECONDS)
        except TimeoutError:
            return None


def _worker_answer(document: Document) -> bytes:
    return orjson.dumps(document)[:-1] + b"," + CAPABILITIES


def _acknowledged(task_id: str, run: Run) -> bytes:
    return _worker_answer(
        {
            "task_id": task_id,
            "outcome": "completed",
            "recorded": True,
            "run_id": run.run_id,
            "run_status": run.status,
            "reason": None,
        }
    )

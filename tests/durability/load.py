"""A load of small workflows over raw HTTP, by clients that never give up.

A request whose answer is lost is sent again, unchanged, until the server has answered
it. What the server acknowledged goes into the client log, and only that: a repetition
that is refused because the first one counted proves nothing about the first one.
"""

from __future__ import annotations

import asyncio
import random
import uuid
from collections import Counter
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import aiohttp
import orjson

from tests.durability.client_log import ActivityDone, ClientLog, Started, TaskDone
from tests.durability.plans import FLAKY, PLANS, decide, result_of
from tests.support.history_rules import from_wire
from tests.support.json_http import CONTROL_PLANE_HEADER, WORKER_HEADER
from tests.support.waiting import eventually

QUEUE = "durability"
WORKER_PROTOCOL = "1.20"
IN_FLIGHT = 16
WORKFLOW_POLLERS = 4
ACTIVITY_POLLERS = 6
POLL_SECONDS = 10
# Longer than a server takes to come back, and than a poll is held.
ANSWER_SECONDS = 60.0

# Refusals that a worker meets when its lease was lost, or its first try counted
# (spec/worker-protocol.md §6.4, §9.3).
LOST_TASK = frozenset(
    {"task_not_leased", "lease_expired", "workflow_task_attempt_mismatch"}
    | {"lease_owner_mismatch"}
)
RUN_OVER = frozenset({"run_closed", "run_already_closed"})
LOST_ATTEMPT = frozenset({"stale_attempt"})


@dataclass(frozen=True, slots=True)
class Reply:
    status: int
    body: Any

    @property
    def reason(self) -> str | None:
        reason = self.body.get("reason")
        return None if reason is None else str(reason)


@dataclass(slots=True)
class Load:
    """A running load; see :func:`running_load`. ``sent`` counts requests, ``troubles``
    those that were repeated, by operation and status or error."""

    session: aiohttp.ClientSession
    log: ClientLog
    choice: random.Random
    worker_protocol: str = WORKER_PROTOCOL
    sent: int = 0
    repeated: int = 0
    troubles: Counter[tuple[str, str]] = field(default_factory=Counter)
    _is_ending: bool = False
    _ended: dict[str, asyncio.Event] = field(default_factory=dict)
    _starters: list[asyncio.Task[None]] = field(default_factory=list)

    async def after_requests(self, count: int) -> None:
        """Wait until so many more requests were sent."""
        target = self.sent + count
        await eventually(
            lambda: self.sent >= target,
            deadline_seconds=ANSWER_SECONDS,
            what=f"{count} more requests of the load",
        )

    async def after_acknowledged(self, count: int) -> None:
        """Wait until the server has acknowledged so much more."""
        target = len(self.log) + count
        await eventually(
            lambda: len(self.log) >= target,
            deadline_seconds=ANSWER_SECONDS,
            what=f"{count} more acknowledgements",
        )

    async def finish(self, deadline_seconds: float) -> None:
        """Start nothing more and wait until every workflow has ended."""
        self._is_ending = True
        await eventually(
            lambda: all(starter.done() for starter in self._starters),
            deadline_seconds=deadline_seconds,
            what=f"end of all of {len(self._ended)} workflows",
        )

    # --- requests ---------------------------------------------------------------------

    async def ask(
        self, method: str, path: str, body: object, headers: Mapping[str, str]
    ) -> Reply:
        """The first answer that is one; repeats the request until then."""

        async def attempt() -> Reply | None:
            self.sent += 1
            try:
                async with self.session.request(
                    method, path, data=orjson.dumps(body), headers=headers
                ) as response:
                    raw = await response.read()
            except (aiohttp.ClientError, TimeoutError) as error:
                return self._again(path, type(error).__name__)
            if response.status >= 500:
                return self._again(path, str(response.status))
            return Reply(response.status, orjson.loads(raw))

        reply = await eventually(
            attempt, deadline_seconds=ANSWER_SECONDS, what=f"an answer to {path}"
        )
        assert reply is not None
        return reply

    def _again(self, path: str, why: str) -> None:
        self.repeated += 1
        parts = path.split("/")
        operation = " ".join(parts[part] for part in (3, -1) if len(parts) > 4)
        self.troubles[operation or parts[-1], why] += 1

    async def ask_worker_plane(self, path: str, body: Mapping[str, object]) -> Reply:
        headers = {WORKER_HEADER: self.worker_protocol}
        return await self.ask("POST", f"/api/worker/{path}", body, headers)

    # --- clients ----------------------------------------------------------------------

    async def keep_starting(self) -> None:
        """Start workflows one after the other, until the load is to finish."""
        while not self._is_ending:
            workflow_id = f"wf-{uuid.uuid4().hex}"
            self._ended[workflow_id] = asyncio.Event()
            body = {
                "workflow_id": workflow_id,
                "workflow_type": self.choice.choice(sorted(PLANS)),
                "task_queue": QUEUE,
                "input": [workflow_id],
            }
            reply = await self.ask(
                "POST", "/api/workflows", body, {CONTROL_PLANE_HEADER: "2"}
            )
            if reply.status == 201:
                self.log.append(Started(workflow_id, reply.body["run_id"]))
            else:
                duplicate = (409, "rejected_duplicate")
                assert (reply.status, reply.body.get("outcome")) == duplicate, reply
                self.log.append(Started(workflow_id, None))
            await self._ended[workflow_id].wait()

    async def register(self, worker_id: str) -> None:
        body = {"worker_id": worker_id, "task_queue": QUEUE, "runtime": "python"}
        reply = await self.ask_worker_plane("register", body)
        assert reply.status in {200, 201}, reply

    async def keep_polling(self, kind: str) -> None:
        """Work on tasks of one kind (``workflow`` or ``activity``) until cancelled."""
        worker_id = f"{kind}-{uuid.uuid4().hex[:8]}"
        await self.register(worker_id)
        perform = self._decide if kind == "workflow" else self._act
        while True:
            body = {
                "worker_id": worker_id,
                "task_queue": QUEUE,
                "poll_request_id": uuid.uuid4().hex,
                "timeout_seconds": POLL_SECONDS,
            }
            reply = await self.ask_worker_plane(f"{kind}-tasks/poll", body)
            assert reply.status == 200, reply
            if reply.body["task"] is not None:
                await perform(reply.body["task"])

    # --- tasks ------------------------------------------------------------------------

    async def _decide(self, task: Mapping[str, Any]) -> None:
        assert task["next_history_page_token"] is None
        plan = PLANS[task["workflow_type"]]
        decision = decide(plan, from_wire(task["history_events"]))
        reply = await self.ask_worker_plane(
            f"workflow-tasks/{task['task_id']}/complete",
            {
                "lease_owner": task["lease_owner"],
                "workflow_task_attempt": task["workflow_task_attempt"],
                "commands": decision.commands,
            },
        )
        if reply.status == 200:
            assert reply.body["recorded"] is True, reply
            self.log.append(
                TaskDone(
                    run_id=task["run_id"],
                    task_id=task["task_id"],
                    activity_types=decision.batch.activities,
                    timers=int(decision.batch.timer_seconds is not None),
                    output=decision.output,
                )
            )
        else:
            assert reply.reason in LOST_TASK | RUN_OVER, reply
        is_over = reply.reason in RUN_OVER or (reply.status == 200 and decision.output)
        # Nobody waits here for what a schedule started.
        ended = self._ended.get(task["workflow_id"])
        if is_over and ended is not None:
            ended.set()

    async def _act(self, task: Mapping[str, Any]) -> None:
        attempt_id = task["activity_attempt_id"]
        fails = task["activity_type"].startswith(FLAKY) and task["attempt_number"] == 1
        verb = "fail" if fails else "complete"
        outcome: dict[str, object] = (
            {"failure": {"message": "not this time", "type": "Flaky"}}
            if fails
            else {"result": {"codec": "avro", "blob": result_of(attempt_id)}}
        )
        reply = await self.ask_worker_plane(
            f"activity-tasks/{task['task_id']}/{verb}",
            {
                "lease_owner": task["lease_owner"],
                "activity_attempt_id": attempt_id,
                **outcome,
            },
        )
        if reply.status == 200:
            assert reply.body["recorded"] is True, reply
            self.log.append(
                ActivityDone(task["run_id"], attempt_id, task["activity_type"], fails)
            )
        else:
            assert reply.reason in LOST_ATTEMPT, reply


@asynccontextmanager
async def running_load(
    base_url: str,
    token: str,
    log: ClientLog,
    choice: random.Random,
    *,
    worker_protocol: str = WORKER_PROTOCOL,
) -> AsyncIterator[Load]:
    """Starters and workers at work until the block ends; their errors end the block."""
    session = aiohttp.ClientSession(
        base_url,
        headers={
            "Authorization": f"Bearer {token}",
            "Content-Type": "application/json",
            "X-Namespace": "default",
        },
        timeout=aiohttp.ClientTimeout(total=ANSWER_SECONDS),
        connector=aiohttp.TCPConnector(limit=0),
    )
    async with session, asyncio.TaskGroup() as group:
        load = Load(session, log, choice, worker_protocol)
        pollers = [
            group.create_task(load.keep_polling(kind))
            for kind, count in (
                ("workflow", WORKFLOW_POLLERS),
                ("activity", ACTIVITY_POLLERS),
            )
            for _ in range(count)
        ]
        load._starters += [
            group.create_task(load.keep_starting()) for _ in range(IN_FLIGHT)
        ]
        yield load
        for task in (*pollers, *load._starters):
            task.cancel()

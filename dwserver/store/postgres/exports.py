"""Everything about one run."""

from __future__ import annotations

from collections.abc import Sequence

from dwserver.engine.model import ClosedAttempt, Run, Task
from dwserver.store.api import WholeRun
from dwserver.store.postgres.blocks import block
from dwserver.store.postgres.connections import ConnectionPool
from dwserver.store.postgres.hot_state import decode_rows
from dwserver.store.postgres.records import (
    decode_attempt,
    decode_command,
    decode_task,
)

_PARTS = {
    part: block(f"list_{part}_of_run")
    for part in ("activities", "timers", "children", "waits", "signals", "updates")
}
_LIST_COMMANDS = block("list_commands_of_run")
_LIST_TASKS = block("list_tasks")
_LIST_CLOSED_ATTEMPTS = block("list_closed_attempts")


class Exports:
    """The reads for exports of the Store (:class:`dwserver.store.api.Store`)."""

    def __init__(self, pool: ConnectionPool) -> None:
        self._pool = pool

    async def whole_run(self, run: Run) -> WholeRun:
        parts = {
            part: await self._pool.fetch(sql, run.id) for part, sql in _PARTS.items()
        }
        commands = await self._pool.fetch(_LIST_COMMANDS, run.id)
        return WholeRun(decode_rows(run, parts), tuple(map(decode_command, commands)))

    async def tasks_by_id(self, task_ids: Sequence[str]) -> list[Task]:
        rows = await self._pool.fetch(_LIST_TASKS, list(task_ids))
        return list(map(decode_task, rows))

    async def closed_attempts_by_id(
        self, attempt_ids: Sequence[str]
    ) -> list[ClosedAttempt]:
        rows = await self._pool.fetch(_LIST_CLOSED_ATTEMPTS, list(attempt_ids))
        return list(map(decode_attempt, rows))

"""Reads for operators: runs as they are shown, and their failures."""

from __future__ import annotations

from dwserver.engine.model import Failure
from dwserver.engine.words import StatusBucket
from dwserver.store.api import RunCursor, RunFilter, RunView
from dwserver.store.postgres.blocks import block
from dwserver.store.postgres.connections import ConnectionPool
from dwserver.store.postgres.records import decode_failure, decode_run_view

_FIND_RUN_VIEW = block("find_run_view")
_LIST_RUNS_IN_BUCKET = block("list_runs_in_bucket")
_LIST_RUNS_OF_TYPE = block("list_runs_of_type")
_LIST_RUNS_OF_INSTANCE = block("list_runs_of_instance")
_LIST_FAILURES_OF_RUN = block("list_failures_of_run")

_BEFORE_ALL = RunCursor(2**63 - 1, "")


def _in_any_bucket() -> str:
    """The newest of each bucket, merged: no index is needed for all of them."""
    words = (f"'{bucket.value}'" for bucket in StatusBucket)
    each = (_LIST_RUNS_IN_BUCKET.replace("$6", word) for word in words)
    union = "\nunion all\n".join(f"({text})" for text in each)
    return f"{union}\norder by started_at desc, id desc\nlimit $4"


LIST_RUNS = _in_any_bucket()


class OperatorReads:
    """The reads for operators of the Store (:class:`dwserver.store.api.Store`)."""

    def __init__(self, pool: ConnectionPool) -> None:
        self._pool = pool

    async def find_run_view(self, namespace: str, run_id: str) -> RunView | None:
        rows = await self._pool.fetch(_FIND_RUN_VIEW, namespace, run_id)
        return decode_run_view(rows[0]) if rows else None

    async def list_runs(
        self, run_filter: RunFilter, *, after: RunCursor | None, limit: int
    ) -> list[RunView]:
        cursor = after or _BEFORE_ALL
        page = (run_filter.namespace, cursor.started_at, cursor.run_id, limit)
        text, bucket = run_filter.text or None, run_filter.bucket
        workflow_type = run_filter.workflow_type
        if workflow_type is not None:
            rows = await self._pool.fetch(
                _LIST_RUNS_OF_TYPE, *page, text, workflow_type, bucket
            )
        elif bucket is not None:
            rows = await self._pool.fetch(_LIST_RUNS_IN_BUCKET, *page, text, bucket)
        else:
            rows = await self._pool.fetch(LIST_RUNS, *page, text)
        return list(map(decode_run_view, rows))

    async def runs_of_instance(self, namespace: str, workflow_id: str) -> list[RunView]:
        rows = await self._pool.fetch(_LIST_RUNS_OF_INSTANCE, namespace, workflow_id)
        return list(map(decode_run_view, rows))

    async def failures_of_run(self, run_id: str, *, limit: int) -> list[Failure]:
        rows = await self._pool.fetch(_LIST_FAILURES_OF_RUN, run_id, limit)
        return list(map(decode_failure, rows))

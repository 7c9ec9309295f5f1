"""Reads for operators: runs as they are shown, and their failures."""

from __future__ import annotations

from dwserver.engine.model import Failure
from dwserver.store.api import RunCursor, RunFilter, RunPlace, RunView
from dwserver.store.columns import fill_columns
from dwserver.store.postgres.blocks import BLOCKS, block
from dwserver.store.postgres.connections import ConnectionPool
from dwserver.store.postgres.records import (
    decode_failure,
    decode_run_place,
    decode_run_view,
)
from dwserver.store.run_page_sql import Dialect, page_statement
from dwserver.store.run_pages import plan_page

_FIND_RUN_VIEW = block("find_run_view")
_FIND_RUN_PLACE = block("find_run_place")
_LIST_RUNS_OF_INSTANCE = block("list_runs_of_instance")
_LIST_FAILURES_OF_RUN = block("list_failures_of_run")

PAGES = Dialect(
    blocks={name: fill_columns(text) for name, text in BLOCKS.items()},
    among="{column} = any({value}::{type}[])",
    contains="strpos({column}, {value}) > 0",
    bound_list=list,
)


class OperatorReads:
    """The reads for operators of the Store (:class:`dwserver.store.api.Store`)."""

    def __init__(self, pool: ConnectionPool) -> None:
        self._pool = pool

    async def find_run_view(self, namespace: str, run_id: str) -> RunView | None:
        rows = await self._pool.fetch(_FIND_RUN_VIEW, namespace, run_id)
        return decode_run_view(rows[0]) if rows else None

    async def find_run_place(self, run_id: str) -> RunPlace | None:
        rows = await self._pool.fetch(_FIND_RUN_PLACE, run_id)
        return decode_run_place(rows[0]) if rows else None

    async def list_runs(
        self, run_filter: RunFilter, *, after: RunCursor | None, limit: int
    ) -> list[RunView]:
        page = plan_page(run_filter, after)
        if not page.buckets:
            return []
        statement = page_statement(
            page,
            namespace=run_filter.namespace,
            text=run_filter.text,
            limit=limit,
            dialect=PAGES,
        )
        rows = await self._pool.fetch(statement.text, *statement.arguments)
        return list(map(decode_run_view, rows))

    async def runs_of_instance(self, namespace: str, workflow_id: str) -> list[RunView]:
        rows = await self._pool.fetch(_LIST_RUNS_OF_INSTANCE, namespace, workflow_id)
        return list(map(decode_run_view, rows))

    async def failures_of_run(self, run_id: str, *, limit: int) -> list[Failure]:
        rows = await self._pool.fetch(_LIST_FAILURES_OF_RUN, run_id, limit)
        return list(map(decode_failure, rows))

"""Figures for operators."""

from __future__ import annotations

import sqlite3

from dwserver.store.figures import (
    FailingType,
    FigureQuery,
    OperatorFigures,
    statements,
    to_figures,
)
from dwserver.store.sqlite.on_threads import OnThreads
from dwserver.store.sqlite.reads import fetch, snapshot


class Figures(OnThreads):
    """See :class:`dwserver.store.figures.Figures`."""

    async def operator_figures(self, query: FigureQuery) -> OperatorFigures:
        return await self._list(_operator_figures, query)

    async def failing_types(
        self, namespace: str, *, rows: int, limit: int
    ) -> list[FailingType]:
        return await self._list(_failing_types, namespace, rows, limit)


def _operator_figures(
    connection: sqlite3.Connection, query: FigureQuery
) -> OperatorFigures:
    with snapshot(connection):
        return to_figures(
            {
                name: fetch(connection, name, *arguments)
                for name, arguments in statements(query).items()
            }
        )


def _failing_types(connection: sqlite3.Connection, *args: object) -> list[FailingType]:
    return [
        FailingType(**row) for row in fetch(connection, "list_failing_types", *args)
    ]

"""Figures for operators."""

from __future__ import annotations

from dwserver.store.figures import (
    FailingType,
    FigureQuery,
    OperatorFigures,
    statements,
    to_figures,
)
from dwserver.store.postgres.blocks import block
from dwserver.store.postgres.connections import ConnectionPool

_LIST_FAILING_TYPES = block("list_failing_types")


class Figures:
    """See :class:`dwserver.store.figures.Figures`."""

    def __init__(self, pool: ConnectionPool) -> None:
        self._pool = pool

    async def operator_figures(self, query: FigureQuery) -> OperatorFigures:
        # One after the other: an operator's figures take no more than one connection
        # from those who work.
        return to_figures(
            {
                name: list(map(dict, await self._pool.fetch(block(name), *arguments)))
                for name, arguments in statements(query).items()
            }
        )

    async def failing_types(
        self, namespace: str, *, rows: int, limit: int
    ) -> list[FailingType]:
        found = await self._pool.fetch(_LIST_FAILING_TYPES, namespace, rows, limit)
        return [FailingType(**dict(row)) for row in found]

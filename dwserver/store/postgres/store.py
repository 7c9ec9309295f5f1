"""The Store on PostgreSQL 13 and later."""

from __future__ import annotations

from functools import partial

from dwserver.engine.transition import Transition
from dwserver.store.api import MigrationReport, StoreUnavailable
from dwserver.store.combiner import Combiner, Observe
from dwserver.store.postgres.bootstrap import read_report
from dwserver.store.postgres.connections import (
    ConnectionOptions,
    ConnectionPool,
    Writers,
)
from dwserver.store.postgres.exports import Exports
from dwserver.store.postgres.figures import Figures
from dwserver.store.postgres.leadership import LeaderLeases
from dwserver.store.postgres.nodes import Nodes
from dwserver.store.postgres.operator_reads import OperatorReads
from dwserver.store.postgres.queues import Queues
from dwserver.store.postgres.registry import Registry
from dwserver.store.postgres.repair import Repair
from dwserver.store.postgres.retention import Retention
from dwserver.store.postgres.rollouts import Rollouts
from dwserver.store.postgres.schedules import Schedules
from dwserver.store.postgres.servers import Servers
from dwserver.store.postgres.state_reads import StateReads
from dwserver.store.postgres.task_sets import TaskSets
from dwserver.store.postgres.write import TransitionWriter

_SHAPES_BEHIND_A_POOLER = 100
_PING = "select 1 where not current_setting('transaction_read_only')::boolean"


class PostgresStore(
    StateReads,
    TaskSets,
    OperatorReads,
    Retention,
    Repair,
    Figures,
    Registry,
    Queues,
    Rollouts,
    Exports,
    Nodes,
    LeaderLeases,
    Schedules,
):
    """See :class:`dwserver.store.api.Store`.

    ``pool_size``: most connections for reads, opened as needed. ``writers``:
    connections for commits, as many as writes may be under way.
    ``statement_cache_size`` 0: the database is behind a pooler in transaction mode.
    ``command_timeout_seconds`` bounds connecting, waiting for a connection, and each
    statement. ``observe`` is called after each write with the number of transitions
    and the seconds.
    """

    def __init__(
        self,
        dsn: str,
        *,
        pool_size: int = 10,
        writers: int = 2,
        statement_cache_size: int = 100,
        command_timeout_seconds: float = 30.0,
        observe: Observe | None = None,
    ) -> None:
        options = ConnectionOptions(
            Servers(dsn), statement_cache_size, command_timeout_seconds
        )
        super().__init__(ConnectionPool(options, size=pool_size))
        self._writers = Writers(options, size=writers)
        shapes = statement_cache_size or _SHAPES_BEHIND_A_POOLER
        self._combine = partial(
            Combiner,
            TransitionWriter(self._writers, max_shapes=shapes).write,
            max_in_flight=writers,
            observe=observe,
        )
        self._commits = self._combine()

    async def open(self) -> None:
        """Needs no reachable database: connections are made when they are used."""
        self._commits = self._combine()
        await self._pool.open()

    async def close(self) -> None:
        """Finish what was accepted, then close the connections."""
        await self._commits.close()
        await self.finish_loads()
        await self._writers.close()
        await self._pool.close()

    async def ping(self) -> None:
        if not await self._pool.fetch(_PING):
            raise StoreUnavailable("the database is read-only: a standby perhaps")

    async def migration_report(self) -> MigrationReport:
        return await read_report(self._pool.fetch)

    async def commit(self, transition: Transition) -> bool:
        return await self._commits.commit(transition)

"""What the minute cost: CPU of each process, commits of the database."""

from __future__ import annotations

import os
import time
from collections.abc import Mapping
from dataclasses import dataclass
from urllib.parse import urlsplit

import asyncpg

from benchmarks import metering
from benchmarks.database_counters import Counters, read_counters
from benchmarks.metering import Reading
from benchmarks.private_postgres import PrivatePostgres


@dataclass(frozen=True, slots=True, kw_only=True)
class Cost:
    """``cpu_seconds`` by process; one that was killed is left out."""

    cpu_seconds: Mapping[str, float]
    commits: int
    transactions: int
    busy_cores: float
    foreign_cores: float


class Meter:
    """Between ``start`` and ``stop``. ``servers``: process ids by name."""

    def __init__(
        self, postgres: PrivatePostgres, url: str, *, servers: Mapping[str, int]
    ) -> None:
        self._admin_dsn = postgres.admin_dsn
        self._database = urlsplit(url).path.lstrip("/")
        self._roots = {**servers, "PostgreSQL": postgres.pid}

    async def start(self) -> None:
        self._counters = await self._read_counters()
        self._clients = time.process_time()
        self._reading = metering.read(self._roots)

    def forget(self, name: str) -> None:
        del self._roots[name]

    async def stop(self) -> Cost:
        reading, clients = metering.read(self._roots), time.process_time()
        counters = (await self._read_counters()).since(self._counters)
        return _cost(self._reading, reading, clients - self._clients, counters)

    async def _read_counters(self) -> Counters:
        connection = await asyncpg.connect(self._admin_dsn)
        try:
            return await read_counters(connection, self._database)
        finally:
            await connection.close()


def _cost(earlier: Reading, later: Reading, clients: float, counters: Counters) -> Cost:
    cores = os.cpu_count() or 1
    usage = metering.usage_between(earlier, later, cores=cores)
    seconds = (later.total - earlier.total) / metering.TICKS_PER_SECOND / cores
    return Cost(
        cpu_seconds={**usage.cpu_seconds, "clients": round(clients, 2)},
        commits=counters.commits,
        transactions=counters.transactions,
        busy_cores=round(usage.busy_cores, 2),
        foreign_cores=round(usage.foreign_cores - clients / max(seconds, 0.01), 2),
    )

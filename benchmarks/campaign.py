"""All points of a run, each on a fresh server with a fresh database."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from benchmarks.figures import median_point
from benchmarks.measure import LoadFailed, Point, Windows, measure
from benchmarks.private_postgres import PrivatePostgres
from benchmarks.servers import (
    RunningServer,
    ServerFailed,
    Target,
    bootstrap,
    running_server,
)
from benchmarks.workloads import Kind, Workload


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """``concurrencies`` replaces those of the workloads that leave the choice."""

    workloads: Sequence[Workload]
    targets: Sequence[Target]
    windows: Windows
    repetitions: int = 1
    concurrencies: Sequence[int] | None = None

    def places(self) -> list[tuple[Workload, int]]:
        return [
            (workload, concurrency)
            for workload in self.workloads
            for concurrency in self._concurrencies(workload)
        ]

    def targets_of(self, workload: Workload) -> list[Target]:
        """Without the floor where it has nothing to compare with."""
        return [t for t in self.targets if workload.has_floor or t is not Target.FLOOR]

    def _concurrencies(self, workload: Workload) -> Sequence[int]:
        if self.concurrencies is None or workload.is_single:
            return workload.concurrencies
        return self.concurrencies


class Campaign:
    """Runs a plan on one PostgreSQL; ``folder`` gets the servers' logs.

    ``failures``: what could not be measured, and why; it does not end the campaign.
    """

    def __init__(self, postgres: PrivatePostgres, folder: Path) -> None:
        self._postgres = postgres
        self._folder = folder
        self._template: str | None = None
        self.failures: list[str] = []

    async def run(self, plan: Plan, *, report: Callable[[Point], None]) -> list[Point]:
        """Targets alternate, so that they see the same mood of the machine."""
        points = []
        for workload, concurrency in plan.places():
            targets = plan.targets_of(workload)
            repeated: dict[Target, list[Point]] = {t: [] for t in targets}
            for _ in range(plan.repetitions):
                for target in targets:
                    try:
                        point = await self._measure(
                            target,
                            workload,
                            concurrency=concurrency,
                            windows=plan.windows,
                        )
                    except (LoadFailed, ServerFailed) as error:
                        place = f"{target} {workload.name} C={concurrency}"
                        self.failures.append(f"{place}: {error}")
                        continue
                    report(point)
                    repeated[target].append(point)
            points += [median_point(found) for found in repeated.values() if found]
        return points

    async def _measure(
        self,
        target: Target,
        workload: Workload,
        *,
        concurrency: int,
        windows: Windows,
    ) -> Point:
        is_idle = workload.kind is Kind.IDLE_POLLS
        with self._server(target) as (server, database_url):
            if is_idle and self._postgres.counts_statements:
                self._postgres.track_statements(True)
            try:
                return await measure(
                    target,
                    workload,
                    concurrency=concurrency,
                    windows=windows,
                    server=server,
                    postgres=self._postgres,
                    database_url=database_url,
                )
            finally:
                if is_idle and self._postgres.counts_statements:
                    self._postgres.track_statements(False)

    @contextmanager
    def _server(self, target: Target) -> Iterator[tuple[RunningServer, str]]:
        with self.fresh_database(target) as database_url:
            log_path = self._folder / f"{target}.log"
            with running_server(target, database_url, log_path=log_path) as server:
                yield server, database_url

    @contextmanager
    def fresh_database(self, target: Target) -> Iterator[str]:
        """URL; empty for the floor, which makes its tables itself."""
        databases = self._postgres.databases
        url = databases.create(
            template=self._bootstrapped() if target is Target.DWSERVER else None
        )
        self._postgres.checkpoint()
        try:
            yield url
        finally:
            databases.drop(url)

    def _bootstrapped(self) -> str:
        if self._template is None:
            url = self._postgres.databases.create()
            bootstrap(url)
            self._template = url
        return self._template

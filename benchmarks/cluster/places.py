"""The servers that are compared: one process, and clusters of one node per class."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import redis

from benchmarks.private_postgres import PrivatePostgres
from benchmarks.servers import RunningServer, Target, bootstrap, running_server
from dwserver.topology.shapes import ProcessClass
from tests.cluster.cluster import TOKEN, Cluster, ClusterSettings
from tests.support.local_servers import LocalRedis

REDIS: Final = "redis"
COMMANDS: Final = "redis commands"
SERVING: Final = (
    ProcessClass.INGRESS_NODE,
    ProcessClass.CONTROL_PLANE_NODE,
    ProcessClass.MATCHING_NODE,
    ProcessClass.HISTORY_PROJECTION_NODE,
    ProcessClass.SCHEDULER_NODE,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Variant:
    """What serves: ``counts`` nodes of each class in the split shape, or (empty) one
    process that has all roles. ``environment`` goes to every node."""

    name: str
    counts: Mapping[ProcessClass, int]
    environment: Mapping[str, str]

    @classmethod
    def of(
        cls,
        name: str,
        *,
        count: int = 1,
        doubled: ProcessClass | None = None,
        environment: Mapping[str, str] | None = None,
    ) -> Variant:
        """``count`` nodes of each class, one more of ``doubled``."""
        counts = dict.fromkeys(SERVING, count)
        if doubled is not None:
            counts[doubled] += 1
        return cls(name=name, counts=counts, environment=environment or {})


ONE_PROCESS: Final = Variant(name="one process", counts={}, environment={})
SPLIT: Final = Variant.of("split")


class Places:
    """Starts variants on one PostgreSQL, each with a database and a Redis of its own;
    ``folder`` gets their logs."""

    def __init__(self, postgres: PrivatePostgres, folder: Path) -> None:
        self.postgres = postgres
        self._folder = folder
        self._template: str | None = None

    @contextmanager
    def running(self, variant: Variant) -> Iterator[tuple[RunningServer, str]]:
        """The server and the URL of its database."""
        with self._fresh_database() as url:
            if variant.counts:
                with self.cluster(variant, url) as (_, server):
                    yield server, url
                return
            log_path = self._folder / "one-process.log"
            with running_server(Target.DWSERVER, url, log_path=log_path) as server:
                yield server, url

    @contextmanager
    def running_cluster(
        self, variant: Variant
    ) -> Iterator[tuple[Cluster, RunningServer]]:
        """As :meth:`running`, for those who do something to the nodes."""
        with self._fresh_database() as url, self.cluster(variant, url) as found:
            yield found

    @contextmanager
    def cluster(
        self, variant: Variant, database_url: str
    ) -> Iterator[tuple[Cluster, RunningServer]]:
        with ExitStack() as stack:
            storage = stack.enter_context(LocalRedis())
            client = stack.enter_context(redis.Redis.from_url(storage.url))
            settings = ClusterSettings(
                database_url=database_url,
                redis_url=storage.url,
                counts=variant.counts,
                environment=variant.environment,
            )
            cluster = stack.enter_context(Cluster(settings, folder=self._folder))
            yield (
                cluster,
                RunningServer(
                    urls=[
                        node.base_url
                        for node in cluster.of_class(ProcessClass.INGRESS_NODE)
                    ],
                    token=TOKEN,
                    pids={
                        **{name: node.pid for name, node in cluster.nodes.items()},
                        REDIS: storage.pid,
                    },
                    counters={COMMANDS: lambda: commands_of(client)},
                ),
            )

    @contextmanager
    def _fresh_database(self) -> Iterator[str]:
        databases = self.postgres.databases
        if self._template is None:
            self._template = databases.create()
            bootstrap(self._template)
        url = databases.create(template=self._template)
        self.postgres.checkpoint()
        try:
            yield url
        finally:
            databases.drop(url)


def commands_of(client: redis.Redis) -> int:
    """Commands that Redis has carried out so far."""
    return int(client.info("stats")["total_commands_processed"])

"""Fixtures: clusters, each on a database and a Redis of its own."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Protocol

import pytest

from dwserver.topology.shapes import ProcessClass
from tests.cluster.cluster import Cluster, ClusterSettings
from tests.durability.client_log import ClientLog
from tests.support.postgres_databases import PostgresDatabases
from tests.support.substrate import running_redis
from tests.support.substrate_choice import Substrate

GREETINGS = "tests.execution.programs.greetings"
QUEUE = "greetings"

WITH_WORKER = {each: 1 for each in ProcessClass}
"""One process of every class that the shape has."""

GREETING_WORKER = {
    ProcessClass.EXECUTION_NODE: {
        "DW_EXECUTION_MODULES": GREETINGS,
        "DW_EXECUTION_TASK_QUEUES": QUEUE,
    }
}
"""What execution nodes need."""


class NewCluster(Protocol):
    def __call__(self, **settings: object) -> Cluster:
        """Start a cluster and wait until it is ready; the keywords are those of
        :class:`~tests.cluster.cluster.ClusterSettings`. Without its URLs it gets a
        database and a Redis of its own."""
        ...


class Report(Protocol):
    def __call__(
        self, what: str, seconds: float, *, bound_seconds: float | None = None
    ) -> None:
        """Print a measured recovery time and keep it with the results of the run;
        AssertionError when it is longer than it may be."""
        ...


MakeClusters = Callable[[ExitStack, Path], NewCluster]


@pytest.fixture(scope="session")
def make_clusters(
    postgres_databases: PostgresDatabases, postgres_template: str, substrate: Substrate
) -> MakeClusters:
    def make(stack: ExitStack, folder: Path) -> NewCluster:
        def new(**settings: object) -> Cluster:
            if "database_url" not in settings:
                url = postgres_databases.create(template=postgres_template)
                stack.callback(postgres_databases.drop, url)
                settings["database_url"] = url
            if "redis_url" not in settings:
                redis = stack.enter_context(running_redis(substrate))
                settings["redis_url"] = redis.url
            wanted = ClusterSettings(**settings)  # type: ignore[arg-type]
            return stack.enter_context(Cluster(wanted, folder=folder))

        return new

    return make


@pytest.fixture
def new_cluster(make_clusters: MakeClusters, tmp_path: Path) -> Iterator[NewCluster]:
    """Starts clusters of the test's own, which it may break."""
    with ExitStack() as stack:
        yield make_clusters(stack, tmp_path)


@pytest.fixture(scope="package")
def cluster(
    make_clusters: MakeClusters, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Cluster]:
    """A split cluster with a process of every class, shared by these tests: leave
    it as it was. Its workers run ``GREETINGS`` on ``QUEUE``."""
    with ExitStack() as stack:
        folder = tmp_path_factory.mktemp("cluster")
        yield make_clusters(stack, folder)(
            counts=WITH_WORKER,
            of_class=GREETING_WORKER,
        )


@pytest.fixture
def client_log(tmp_path: Path) -> ClientLog:
    return ClientLog(tmp_path / "client-log.jsonl")


@pytest.fixture
def choice(record_property: Callable[[str, object], None]) -> random.Random:
    """Random moments and workflows; its seed depends on the session's."""
    seed = random.randrange(2**32)
    record_property("choice_seed", seed)
    return random.Random(seed)


@pytest.fixture
def report(record_property: Callable[[str, object], None]) -> Report:
    def write(what: str, seconds: float, *, bound_seconds: float | None = None) -> None:
        record_property(what, round(seconds, 2))
        bound = "" if bound_seconds is None else f" (at most {bound_seconds:g} s)"
        print(f"\n{what}: {seconds:.2f} s{bound}")
        assert bound_seconds is None or seconds <= bound_seconds, what

    return write

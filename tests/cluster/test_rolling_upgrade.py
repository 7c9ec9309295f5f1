"""One build of the server is replaced by another, node by node, under load.

The statements R3, R4 and R10 of ``spec/topology-and-operations.md`` §7.2. What the
older build is, :mod:`tests.cluster.older_build` says; the tests print it.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import asyncpg
import pytest

from dwserver import __version__
from dwserver.topology.shapes import ProcessClass
from tests.cluster.cluster import TOKEN, Cluster
from tests.cluster.conftest import NewCluster
from tests.cluster.older_build import VERSION, WORKER_PROTOCOL, older_build
from tests.cluster.rehearsal import ask, operator_of
from tests.durability.checker import check
from tests.durability.client_log import ClientLog
from tests.durability.conftest import SHORT_LEASES
from tests.durability.load import Load, running_load
from tests.support.processes import TEST_TOKEN, StartServer
from tests.support.source_tree import ROOT
from tests.support.stored_state import read_state

pytestmark = [pytest.mark.cluster, pytest.mark.full, pytest.mark.timeout(240)]

PAIRS = {
    ProcessClass.MATCHING_NODE: 2,
    ProcessClass.CONTROL_PLANE_NODE: 2,
    ProcessClass.SCHEDULER_NODE: 2,
    ProcessClass.INGRESS_NODE: 1,
    ProcessClass.HISTORY_PROJECTION_NODE: 1,
}
PROGRESS = 40
END_SECONDS = 60.0


@dataclass(frozen=True, slots=True)
class Build:
    """``env``: what its nodes get on top."""

    source: Path
    version: str
    env: Mapping[str, str]


@pytest.fixture
def older(tmp_path: Path) -> Build:
    found = older_build(tmp_path / "older")
    print(f"\nthe older build is {found.origin}")
    env = {"DW_WORKER_PROTOCOL_VERSION": WORKER_PROTOCOL}
    return Build(found.folder, VERSION, env)


NEWER = Build(ROOT, __version__, {"DW_WORKER_PROTOCOL_VERSION": "1.20"})


async def versions(cluster: Cluster) -> dict[str, str]:
    """Of the live nodes, by name."""
    ingress = operator_of(cluster.node(ProcessClass.INGRESS_NODE))
    listed = (await ask(ingress, "GET", "/api/cluster/nodes")).expect(200)["nodes"]
    return {node["node_id"]: node["version"] for node in listed}


async def replace_all(
    cluster: Cluster, before: Build, after: Build, *, load: Load
) -> None:
    """First one node of each class, then the others; the load makes progress after
    each step."""
    expected = dict.fromkeys(cluster.nodes, before.version)
    for number in (1, 2):
        for process_class, its_number in cluster.settings.classes():
            if its_number != number:
                continue
            await asyncio.to_thread(
                cluster.replace,
                process_class,
                number,
                after.env,
                source=after.source,
            )
            expected[f"{process_class.value}-{number}"] = after.version
            await load.after_acknowledged(PROGRESS)
        assert await versions(cluster) == expected
        await check_overlap(cluster)
    assert set(expected.values()) == {after.version}


async def check_overlap(cluster: Cluster) -> None:
    """R4: whatever a node is, it speaks what the workers and operators speak."""
    for node in cluster.nodes.values():
        info = (await ask(operator_of(node), "GET", "/api/cluster/info")).expect(200)
        assert info["control_plane"]["version"] == "2"
        spoken = tuple(map(int, info["worker_protocol"]["version"].split(".")))
        assert spoken >= tuple(map(int, WORKER_PROTOCOL.split(".")))


async def rolled(
    new_cluster: NewCluster,
    before: Build,
    after: Build,
    *,
    counts: Mapping[ProcessClass, int],
    client_log: ClientLog,
    choice: random.Random,
) -> None:
    cluster = await asyncio.to_thread(
        lambda: new_cluster(
            counts=counts,
            source=before.source,
            environment={**SHORT_LEASES, **before.env},
        )
    )
    async with running_load(
        cluster.base_url, TOKEN, client_log, choice, worker_protocol=WORKER_PROTOCOL
    ) as load:
        await load.after_acknowledged(PROGRESS)
        await replace_all(cluster, before, after, load=load)
        await load.finish(END_SECONDS)
    assert check(read_state(cluster.settings.database_url), client_log) == []


async def test_r4_old_and_new_nodes_serve_side_by_side_during_an_upgrade(
    new_cluster: NewCluster,
    older: Build,
    client_log: ClientLog,
    choice: random.Random,
) -> None:
    await rolled(
        new_cluster,
        older,
        NEWER,
        counts=PAIRS,
        client_log=client_log,
        choice=choice,
    )


async def test_r10_a_rollback_is_the_same_steps_reversed(
    new_cluster: NewCluster,
    older: Build,
    client_log: ClientLog,
    choice: random.Random,
) -> None:
    await rolled(
        new_cluster,
        NEWER,
        older,
        counts=dict.fromkeys(PAIRS, 1),
        client_log=client_log,
        choice=choice,
    )


ADDITIONS = """
alter table runs add column of_a_later_release text default 'x';
alter table tasks add column of_a_later_release bigint not null default 0;
alter table activities add column of_a_later_release jsonb;
alter table worker_registrations add column of_a_later_release text;
create table of_a_later_release (id text primary key);
insert into schema_migrations (name, applied_at) values ('9999_pre_later', 0);
"""
"""What a later release may do to the schema before it runs."""


async def execute(dsn: str, statements: str) -> None:
    connection = await asyncpg.connect(dsn)
    try:
        await connection.execute(statements)
    finally:
        await connection.close()


async def test_r3_an_old_node_serves_on_the_schema_of_a_newer_release(
    start_server: StartServer,
    postgres_url: str,
    client_log: ClientLog,
    choice: random.Random,
) -> None:
    """The schema grows under a node that serves; no request notices. It also starts
    again on that schema."""
    node = await asyncio.to_thread(start_server, postgres_url, SHORT_LEASES)
    async with running_load(node.base_url, TEST_TOKEN, client_log, choice) as load:
        await load.after_acknowledged(PROGRESS)
        await execute(postgres_url, ADDITIONS)
        await load.after_acknowledged(PROGRESS)
        assert not load.troubles
        await asyncio.to_thread(node.terminate)
        node.start()
        await asyncio.to_thread(node.wait_ready)
        await load.after_acknowledged(PROGRESS)
        await load.finish(END_SECONDS)
    assert check(read_state(postgres_url), client_log) == []

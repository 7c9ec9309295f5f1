"""PostgreSQL is restarted, fails over or loses its connections under a split cluster.

Nothing that was acknowledged may be lost, nothing may be applied twice, and nothing is
acknowledged while there is no database. The row "database failover" of
``spec/topology-and-operations.md`` §7.3.
"""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from urllib.parse import urlsplit, urlunsplit

import pytest

from dwserver.protocol.history_bundles.integrity import integrity_of
from tests.cluster.cluster import TOKEN, Cluster
from tests.cluster.conftest import GREETING_WORKER, WITH_WORKER, NewCluster, Report
from tests.cluster.rehearsal import ask
from tests.durability.checker import check
from tests.durability.client_log import ClientLog, Started, TaskDone
from tests.durability.conftest import SHORT_LEASES
from tests.durability.load import Load, running_load
from tests.support.databases import bootstrap
from tests.support.faulty_link import Direction, FaultyLink, faulty_link
from tests.support.json_http import Answer, JsonHttp, operator
from tests.support.ports import LOOPBACK
from tests.support.postgres_databases import PostgresDatabases
from tests.support.replication import promote, wait_for_the_standby
from tests.support.stored_state import read_state
from tests.support.substrate import StoppablePostgres
from tests.support.waiting import eventually

pytestmark = [pytest.mark.cluster, pytest.mark.full, pytest.mark.timeout(240)]

OK = 200
UNAVAILABLE = 503
WARM_REQUESTS = 200
# Where the database says nothing, each of them waits until a statement's time is up.
REFUSED_REQUESTS = 5
READY_SECONDS = 30.0
END_SECONDS = 90.0
# Redispatch and one long poll, once the database is back (§7.3).
RECOVERY_SECONDS = 3.0 + 30.0

IMPATIENT = {"DW_DATABASE_COMMAND_TIMEOUT_SECONDS": "3"}

Outage = Callable[[], Awaitable[None]]


@dataclass(frozen=True, slots=True)
class Stage:
    """A split cluster at work on the database that ``link`` leads to."""

    cluster: Cluster
    load: Load
    log: ClientLog
    report: Report

    async def all_ready(self, status: int) -> None:
        """Every node, of whatever class, answers its probe so."""
        for name, node in self.cluster.nodes.items():
            await eventually(
                lambda node=node: asyncio.to_thread(
                    lambda: node.ready_status() == status
                ),
                deadline_seconds=READY_SECONDS,
                what=f"/api/ready of {name} with {status}",
            )

    async def start(self, workflow_id: str) -> Answer:
        client = operator(self.cluster.base_url, TOKEN)
        body = {"workflow_id": workflow_id, "workflow_type": "durability.direct"}
        return await ask(client, "POST", "/api/workflows", body)

    async def nothing_is_acknowledged(self) -> None:
        acknowledged = len(self.log)
        await self.load.after_requests(REFUSED_REQUESTS)
        await self.all_ready(UNAVAILABLE)
        assert len(self.log) == acknowledged, "acknowledged without a database"

    async def survive(self, what: str, *, leave: Outage, come_back: Outage) -> None:
        """An outage: refused and not acknowledged in it, and over soon after it."""
        await self.load.after_requests(WARM_REQUESTS)
        await leave()
        await self.all_ready(UNAVAILABLE)
        refused_id = f"refused-{what.replace(' ', '-')}"
        refused = await self.start(refused_id)
        assert refused.status == UNAVAILABLE, refused
        await self.nothing_is_acknowledged()
        acknowledged = len(self.log)
        await come_back()
        began = time.monotonic()
        await eventually(
            lambda: len(self.log) > acknowledged,
            deadline_seconds=READY_SECONDS,
            what="an acknowledged write",
        )
        self.report(f"{what}: first write", time.monotonic() - began)
        await self.all_ready(OK)
        await self.load.after_requests(WARM_REQUESTS)
        seconds = time.monotonic() - began
        self.report(f"{what}: recovered", seconds, bound_seconds=RECOVERY_SECONDS)
        # What was refused was not kept for later.
        client = operator(self.cluster.base_url, TOKEN)
        (await ask(client, "GET", f"/api/workflows/{refused_id}")).expect(404)


@asynccontextmanager
async def at_work(
    cluster: Cluster, log: ClientLog, choice: random.Random, report: Report
) -> AsyncIterator[Stage]:
    """No node ends because of the database."""
    pids = {name: node.pid for name, node in cluster.nodes.items()}
    async with running_load(cluster.base_url, TOKEN, log, choice) as load:
        yield Stage(cluster, load, log, report)
        await load.finish(END_SECONDS)
    assert load.repeated > 0, "no request met what was done to the database"
    assert all(node.is_running for node in cluster.nodes.values())
    assert {name: node.pid for name, node in cluster.nodes.items()} == pids


def through(link: FaultyLink, url: str) -> str:
    """The URL of a database over the link."""
    parts = urlsplit(url)
    userinfo, _, _ = parts.netloc.rpartition("@")
    return urlunsplit(parts._replace(netloc=f"{userinfo}@{LOOPBACK}:{link.port}"))


def address(dsn: str) -> tuple[str, int]:
    parts = urlsplit(dsn)
    assert parts.hostname is not None
    assert parts.port is not None
    return parts.hostname, parts.port


def at(dsn: str, url: str) -> str:
    """The database of ``url`` on the server of ``dsn``."""
    return urlunsplit(urlsplit(dsn)._replace(path=urlsplit(url).path))


def on_both(dsn: str, url: str) -> str:
    """The database of ``url`` on the server of ``dsn``, or on its own."""
    (host, port), parts = address(dsn), urlsplit(url)
    userinfo, _, own = parts.netloc.rpartition("@")
    return urlunsplit(parts._replace(netloc=f"{userinfo}@{host}:{port},{own}"))


def in_thread(action: Callable[[], object]) -> Outage:
    async def act() -> None:
        await asyncio.to_thread(action)

    return act


async def test_ha_database_failover_restarts_of_the_server(
    new_cluster: NewCluster,
    own_postgres: StoppablePostgres,
    client_log: ClientLog,
    choice: random.Random,
    report: Report,
) -> None:
    url = PostgresDatabases(own_postgres.admin_dsn).create()
    await asyncio.to_thread(bootstrap, url)
    cluster = await asyncio.to_thread(
        lambda: new_cluster(
            database_url=url,
            environment=SHORT_LEASES,
            counts=WITH_WORKER,
            of_class=GREETING_WORKER,
        )
    )
    async with at_work(cluster, client_log, choice, report) as stage:
        for what, leave in (
            ("database stopped", own_postgres.stop),
            ("database crashed", own_postgres.crash),
        ):
            await stage.survive(
                what,
                leave=in_thread(leave),
                come_back=in_thread(own_postgres.start),
            )
    assert check(read_state(url), client_log) == []


@pytest.fixture
def standby(own_postgres: StoppablePostgres) -> Iterator[StoppablePostgres]:
    """Follows ``own_postgres``, whose commits wait for it."""
    with own_postgres.standby() as standby:
        wait_for_the_standby(own_postgres.admin_dsn)
        yield standby


@pytest.mark.parametrize("has_vanished", [False, True], ids=["crashed", "vanished"])
async def test_ha_database_failover_to_a_promoted_standby(
    has_vanished: bool,
    new_cluster: NewCluster,
    own_postgres: StoppablePostgres,
    standby: StoppablePostgres,
    client_log: ClientLog,
    choice: random.Random,
    report: Report,
) -> None:
    """A primary that crashed closes its connections; one that vanished says nothing,
    and every statement on the way to it waits until its time is up."""
    url = PostgresDatabases(own_postgres.admin_dsn).create()
    await asyncio.to_thread(bootstrap, url)
    async with faulty_link(*address(own_postgres.admin_dsn)) as link:
        cluster = await asyncio.to_thread(
            lambda: new_cluster(
                database_url=through(link, url),
                environment={**SHORT_LEASES, **IMPATIENT},
            )
        )

        async def leave() -> None:
            if has_vanished:
                link.freeze()
            await asyncio.to_thread(own_postgres.crash)

        async with at_work(cluster, client_log, choice, report) as stage:

            async def fail_over() -> None:
                # The endpoint may change before the standby takes writes.
                await link.lead_to(*address(standby.admin_dsn), is_silent=has_vanished)
                await stage.nothing_is_acknowledged()
                await asyncio.to_thread(promote, standby.admin_dsn)

            what = f"primary {'vanished' if has_vanished else 'crashed'}"
            await stage.survive(what, leave=leave, come_back=fail_over)
    assert check(read_state(at(standby.admin_dsn, url)), client_log) == []


async def test_ha_database_failover_needs_no_changed_endpoint(
    new_cluster: NewCluster,
    own_postgres: StoppablePostgres,
    standby: StoppablePostgres,
    client_log: ClientLog,
    choice: random.Random,
    report: Report,
) -> None:
    """The URL of the nodes names both servers, the standby first."""
    database = PostgresDatabases(own_postgres.admin_dsn).create()
    url = on_both(standby.admin_dsn, database)
    await asyncio.to_thread(bootstrap, url)
    cluster = await asyncio.to_thread(
        lambda: new_cluster(database_url=url, environment={**SHORT_LEASES, **IMPATIENT})
    )
    async with at_work(cluster, client_log, choice, report) as stage:

        async def fail_over() -> None:
            await stage.nothing_is_acknowledged()
            await asyncio.to_thread(promote, standby.admin_dsn)

        await stage.survive(
            "primary of the URL crashed",
            leave=in_thread(own_postgres.crash),
            come_back=fail_over,
        )
    assert check(read_state(at(standby.admin_dsn, database)), client_log) == []


async def test_another_region_goes_on_with_the_database_and_nothing_else(
    new_cluster: NewCluster,
    own_postgres: StoppablePostgres,
    standby: StoppablePostgres,
    client_log: ClientLog,
    choice: random.Random,
    report: Report,
) -> None:
    """The order of §7.4: promote, bootstrap, start nodes on an empty Redis, switch the
    traffic. The nodes have the names of those that are gone."""
    url = PostgresDatabases(own_postgres.admin_dsn).create()
    await asyncio.to_thread(bootstrap, url)
    promoted_url = at(standby.admin_dsn, url)
    settings = {"environment": {**SHORT_LEASES, "DW_SCHEDULER_LEASE_SECONDS": "3"}}
    lost = await asyncio.to_thread(lambda: new_cluster(database_url=url, **settings))
    async with faulty_link(LOOPBACK, urlsplit(lost.base_url).port or 0) as traffic:
        edge = f"http://{LOOPBACK}:{traffic.port}"
        client = operator(edge, TOKEN)
        async with running_load(edge, TOKEN, client_log, choice) as load:
            await load.after_requests(WARM_REQUESTS)
            topology = (await ask(client, "GET", "/api/cluster/info")).expect(200)
            await asyncio.to_thread(lost.kill)
            await asyncio.to_thread(own_postgres.crash)
            began = time.monotonic()
            await asyncio.to_thread(promote, standby.admin_dsn)
            await asyncio.to_thread(bootstrap, promoted_url)
            stand_in = await asyncio.to_thread(
                lambda: new_cluster(database_url=promoted_url, **settings)
            )
            await traffic.lead_to(LOOPBACK, urlsplit(stand_in.base_url).port or 0)
            switched_at, acknowledged = time.monotonic(), len(client_log)
            await eventually(
                lambda: len(client_log) > acknowledged,
                deadline_seconds=READY_SECONDS,
                what="an acknowledged write",
            )
            report("region lost: first write", time.monotonic() - began)
            await load.after_requests(WARM_REQUESTS)
            seconds = time.monotonic() - switched_at
            report(
                "region lost, traffic switched: recovered",
                seconds,
                bound_seconds=RECOVERY_SECONDS,
            )
            found = (await ask(client, "GET", "/api/cluster/info")).expect(200)
            assert found["topology"] == topology["topology"]
            await export_is_intact(client, client_log)
            await load.finish(END_SECONDS)
    assert check(read_state(promoted_url), client_log) == []


async def export_is_intact(client: JsonHttp, log: ClientLog) -> None:
    """The history of the first run that ended, as it was before the database moved."""
    run_id = next(
        each.run_id for each in log if isinstance(each, TaskDone) and each.output
    )
    workflow_id = next(
        each.workflow_id
        for each in log
        if isinstance(each, Started) and each.run_id == run_id
    )
    path = f"/api/workflows/{workflow_id}/runs/{run_id}/history/export"
    bundle = (await ask(client, "GET", path)).expect(200)
    given = bundle.pop("integrity")
    assert given == integrity_of(bundle, None)


# A commit is a few thousand bytes long, its answer a few dozen.
CUT_WITHIN_BYTES = {Direction.THERE: 8000, Direction.BACK: 400}
REQUESTS_BETWEEN_CUTS = 50
ROUNDS, MOST_ROUNDS = 8, 60


async def test_connections_that_are_cut_in_the_middle_of_commits_lose_nothing(
    postgres_url: str,
    new_cluster: NewCluster,
    client_log: ClientLog,
    choice: random.Random,
    report: Report,
) -> None:
    """In the middle of a request the commit was not made; in the middle of an answer
    it was, and nobody but the database knows."""

    def somewhere() -> tuple[Direction, int]:
        way = choice.choice([*Direction])
        return way, choice.randrange(CUT_WITHIN_BYTES[way])

    async with faulty_link(*address(postgres_url)) as link:
        cluster = await asyncio.to_thread(
            lambda: new_cluster(
                database_url=through(link, postgres_url), environment=SHORT_LEASES
            )
        )
        async with at_work(cluster, client_log, choice, report) as stage:
            for number in range(MOST_ROUNDS):
                # Each node has new connections by then, and commits on them.
                await stage.load.after_requests(REQUESTS_BETWEEN_CUTS)
                link.end_soon(somewhere)
                if number >= ROUNDS and lost_an_answer(client_log):
                    break
            print(f"\ncuts in the middle of messages: {dict(link.cuts)}")
            assert min(link.cuts[way] for way in Direction) >= ROUNDS
            assert lost_an_answer(client_log), "no cut met the answer to a start"
    assert check(read_state(postgres_url), client_log) == []


def lost_an_answer(log: ClientLog) -> bool:
    """A start counted although nobody was told: its repetition was a duplicate."""
    return any(isinstance(each, Started) and each.run_id is None for each in log)

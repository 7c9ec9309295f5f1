"""The audit of the rehearsals finds what it is there to find."""

from __future__ import annotations

from collections.abc import AsyncIterator

import asyncpg
import pytest

from tests.cluster.leader_audit import LeaderAudit, leader_audit

FIRST, SECOND = "scheduler_node-1", "scheduler_node-2"
LEASE = """insert into leader_leases values ('scheduler', $1::text || '/x', $2, 1)
on conflict (name) do update set holder = excluded.holder, term = excluded.term"""
FIRE = """insert into schedule_occurrences
values ('s', 'tick', $1::bigint, 'schedule:s:' || $1::bigint, 'run', 0)"""


@pytest.fixture
async def audit(postgres_url: str) -> AsyncIterator[LeaderAudit]:
    async with leader_audit(postgres_url) as audit:
        yield audit


@pytest.fixture
async def database(
    audit: LeaderAudit, postgres_url: str
) -> AsyncIterator[asyncpg.Connection]:
    connection = await asyncpg.connect(postgres_url)
    yield connection
    await connection.close()


async def fire(database: asyncpg.Connection, writer: str, nominal_at: int) -> None:
    await database.execute("select set_config('application_name', $1, false)", writer)
    await database.execute(FIRE, nominal_at)


async def test_a_write_of_another_than_the_leader_is_found(
    audit: LeaderAudit, database: asyncpg.Connection
) -> None:
    await database.execute(LEASE, FIRST, 1)
    await fire(database, FIRST, 1)
    assert not [each for each in await audit.problems() if "wrote while" in each]
    await database.execute(LEASE, SECOND, 2)
    await fire(database, FIRST, 2)
    [found] = [each for each in await audit.problems() if "wrote while" in each]
    assert found.startswith(f"{FIRST} wrote while {SECOND} led")
    assert (await audit.term_after(1)).holder == SECOND
    assert len(await audit.fires(2)) == 1


async def test_terms_that_do_not_grow_or_are_shared_are_found(
    audit: LeaderAudit, database: asyncpg.Connection
) -> None:
    for holder, term in ((FIRST, 2), (SECOND, 2), (SECOND, 1)):
        await database.execute(LEASE, holder, term)
    shrunk, shared = await audit.problems()
    assert shrunk.startswith("the terms of the leases do not grow")
    assert shared.startswith("term 2 has several holders")


async def test_a_fire_without_its_run_is_found(
    audit: LeaderAudit, database: asyncpg.Connection
) -> None:
    await database.execute(LEASE, FIRST, 1)
    assert await audit.problems() == []
    await fire(database, FIRST, 1)
    [found] = await audit.problems()
    assert found.startswith("fires differ")

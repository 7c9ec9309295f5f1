"""What the schedulers of a cluster wrote, in order, by whom and in which term.

Triggers in the database write it down inside the transaction of the write itself: what
was rolled back is not there, and the lease is the one that stood at that moment. Nodes
are told apart by the ``application_name`` that a cluster gives their connections.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

import asyncpg

from tests.support.waiting import eventually

INSTALL = """
create table audit_leases (
    number bigserial, at timestamptz default clock_timestamp(),
    holder text, term bigint, is_held boolean
);
create table audit_writes (
    number bigserial, at timestamptz default clock_timestamp(),
    kind text, writer text, holder text, term bigint
);
create function audit_lease() returns trigger language plpgsql as $$ begin
    insert into audit_leases (holder, term, is_held)
    values (new.holder, new.term, new.expires_at > 0);
    return new;
end $$;
create function audit_write() returns trigger language plpgsql as $$ begin
    insert into audit_writes (kind, writer, holder, term)
    select tg_table_name, current_setting('application_name'), l.holder, l.term
    from leader_leases l where l.name = 'scheduler';
    return new;
end $$;
create trigger audit after insert or update on leader_leases
    for each row when (new.name = 'scheduler') execute function audit_lease();
create trigger audit after insert on schedule_occurrences
    for each row execute function audit_write();
create trigger audit after update on schedules
    for each row execute function audit_write();
"""
OCCURRENCES = "schedule_occurrences"


@dataclass(frozen=True, slots=True)
class Write:
    """A write to a schedule. ``at``: seconds of the database's clock. ``holder``: the
    node that held the lease at that moment, in ``term``."""

    at: float
    kind: str
    writer: str
    holder: str
    term: int


@dataclass(frozen=True, slots=True)
class Lease:
    at: float
    holder: str
    term: int
    is_held: bool


class LeaderAudit:
    """See the module text; made by :func:`leader_audit`."""

    def __init__(self, connection: asyncpg.Connection) -> None:
        self._connection = connection

    async def now(self) -> float:
        """Seconds of the database's clock."""
        return float(
            await self._connection.fetchval(
                "select extract(epoch from clock_timestamp())::float8"
            )
        )

    async def leases(self) -> list[Lease]:
        """Every change of the lease, renewals as well."""
        rows = await self._connection.fetch(
            "select extract(epoch from at)::float8 as at,"
            " split_part(holder, '/', 1) as holder, term, is_held"
            " from audit_leases order by number"
        )
        return [Lease(*row) for row in rows]

    async def writes(self) -> list[Write]:
        rows = await self._connection.fetch(
            "select extract(epoch from at)::float8 as at, kind, writer,"
            " split_part(holder, '/', 1) as holder, term"
            " from audit_writes order by number"
        )
        return [Write(*row) for row in rows]

    async def leader(self) -> Lease:
        """Who leads now; waits for one."""

        async def found() -> Lease | None:
            leases = await self.leases()
            return leases[-1] if leases and leases[-1].is_held else None

        lease = await eventually(found, deadline_seconds=30.0, what="a leader")
        assert lease is not None
        return lease

    async def term_after(self, term: int, *, deadline_seconds: float = 30.0) -> Lease:
        """How the term that follows ``term`` began."""

        async def begun() -> Lease | None:
            later = (each for each in await self.leases() if each.term > term)
            return next(later, None)

        what = f"a term after {term}"
        lease = await eventually(begun, deadline_seconds=deadline_seconds, what=what)
        assert lease is not None
        return lease

    async def fires(self, term: int, *, count: int = 1) -> list[Write]:
        """The fires of a term, once there are so many."""

        async def enough() -> list[Write] | None:
            found = [
                each
                for each in await self.writes()
                if each.kind == OCCURRENCES and each.term == term
            ]
            return found if len(found) >= count else None

        what = f"{count} fires in term {term}"
        found = await eventually(enough, deadline_seconds=30.0, what=what)
        assert found is not None
        return found

    async def problems(self) -> list[str]:
        """Whatever was written by a node that did not lead, or in an old term."""
        found = []
        writes = [each for each in await self.writes() if _is_of_scheduler(each)]
        for write in writes:
            if write.writer != write.holder:
                found.append(f"{write.writer} wrote while {write.holder} led: {write}")
        for kind, terms in (
            ("writes", [each.term for each in writes]),
            ("leases", [each.term for each in await self.leases()]),
        ):
            if terms != sorted(terms):
                found.append(f"the terms of the {kind} do not grow: {terms}")
        holders: dict[int, set[str]] = {}
        for lease in await self.leases():
            holders.setdefault(lease.term, set()).add(lease.holder)
        for term, names in holders.items():
            if len(names) > 1:
                found.append(f"term {term} has several holders: {names}")
        return found + await self._unequal_counts()

    async def _unequal_counts(self) -> list[str]:
        """Each fire made one occurrence, one event and one run, and counted once."""
        [row] = await self._connection.fetch(
            "select (select coalesce(sum(fires_count), 0)::bigint from schedules)"
            " as counted, (select count(*) from schedule_occurrences) as occurrences,"
            " (select count(*) from schedule_events"
            "  where event_type = 'ScheduleTriggered') as events,"
            " (select count(*) from runs where workflow_id like 'schedule:%') as runs,"
            " (select count(distinct workflow_id) from schedule_occurrences)"
            " as workflows"
        )
        counts: dict[str, Any] = dict(row)
        return [] if len(set(counts.values())) == 1 else [f"fires differ: {counts}"]


def _is_of_scheduler(write: Write) -> bool:
    # Operators change schedules as well, through nodes of other classes.
    return write.kind == OCCURRENCES or write.writer.startswith("scheduler_node")


@asynccontextmanager
async def leader_audit(database_url: str) -> AsyncIterator[LeaderAudit]:
    """Install it in a database that has just been bootstrapped."""
    connection = await asyncpg.connect(database_url)
    try:
        await connection.execute(INSTALL)
        yield LeaderAudit(connection)
    finally:
        await connection.close()

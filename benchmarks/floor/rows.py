"""The rows of one shared commit, and the one statement that writes them."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cache
from typing import Any, TypeAlias

Row: TypeAlias = tuple[str | int, ...]

# Stands for every payload; random, so that it does not compress.
PAYLOAD = os.urandom(200)


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """One data-modifying statement over ``unnest``: ``$1…`` are its ``columns`` arrays,
    ``$payload`` the payload."""

    name: str
    columns: int
    sql: str


PARTS = (
    Part(
        name="start_run",
        columns=3,
        sql="""insert into run
            (id, namespace, workflow_id, type, queue, status, last_sequence)
            select r, 'default', w, 'bench', q, 'pending', 2
            from unnest($1::text[], $2::text[], $3::text[]) as x (r, w, q)""",
    ),
    Part(
        name="start_instance",
        columns=2,
        sql="""insert into instance (namespace, id, run_id)
            select 'default', w, r from unnest($1::text[], $2::text[]) as x (w, r)""",
    ),
    Part(
        name="change_run",
        columns=3,
        sql="""update run set status = x.s, last_sequence = x.n,
            closed_at = case when x.s = 'completed' then now() end,
            result = case when x.s = 'completed' then $payload::bytea end
            from unnest($1::text[], $2::text[], $3::int[]) as x (r, s, n)
            where run.id = x.r""",
    ),
    Part(
        name="append_event",
        columns=4,
        sql="""insert into event (run_id, sequence, id, type, payload)
            select r, n, i, t, $payload::bytea
            from unnest($1::text[], $2::int[], $3::text[], $4::text[])
            as x (r, n, i, t)""",
    ),
    Part(
        name="insert_task",
        columns=4,
        sql="""insert into task (id, run_id, queue, kind, status, lease_owner,
            lease_expires_at, attempt)
            select i, r, q, k, 'leased', 'w', now() + interval '60 s', 1
            from unnest($1::text[], $2::text[], $3::text[], $4::text[])
            as x (i, r, q, k)""",
    ),
    Part(
        name="close_task",
        columns=1,
        sql="""update task set status = 'completed'
            from unnest($1::text[]) as x (i) where task.id = x.i""",
    ),
    Part(
        name="insert_activity",
        columns=3,
        sql="""insert into activity
            (id, run_id, type, status, arguments, attempt_id, attempts)
            select i, r, 'bench.act', 'running', $payload::bytea, a, 1
            from unnest($1::text[], $2::text[], $3::text[]) as x (i, r, a)""",
    ),
    Part(
        name="complete_activity",
        columns=1,
        sql="""update activity set status = 'completed', result = $payload::bytea
            from unnest($1::text[]) as x (i) where activity.id = x.i""",
    ),
    Part(
        name="insert_attempt",
        columns=2,
        sql="""insert into attempt (id, activity_id, status, lease_owner)
            select a, i, 'running', 'w'
            from unnest($1::text[], $2::text[]) as x (a, i)""",
    ),
    Part(
        name="complete_attempt",
        columns=1,
        sql="""update attempt set status = 'completed', closed_at = now()
            from unnest($1::text[]) as x (a) where attempt.id = x.a""",
    ),
)


@dataclass(slots=True)
class Rows:
    """What one request or one commit writes, by name of its part.

    A run is changed once per commit, whatever number of requests changed it.
    """

    by_part: dict[str, list[Row]] = field(default_factory=dict)
    changed_runs: dict[str, Row] = field(default_factory=dict)

    def add(self, part: str, *row: str | int) -> None:
        self.by_part.setdefault(part, []).append(row)

    def change_run(self, run_id: str, status: str, last_sequence: int) -> None:
        self.changed_runs[run_id] = (run_id, status, last_sequence)

    def merge(self, later: Rows) -> None:
        for part, rows in later.by_part.items():
            self.by_part.setdefault(part, []).extend(rows)
        self.changed_runs |= later.changed_runs

    def statement(self) -> tuple[str, list[Any]]:
        """SQL of the parts that have rows, and its arguments.

        The same parts give the same text, which the connection prepares once.
        """
        found = dict(self.by_part)
        if self.changed_runs:
            found["change_run"] = list(self.changed_runs.values())
        used = tuple(part.name for part in PARTS if part.name in found)
        arguments: list[Any] = [PAYLOAD]
        for name in used:
            arguments.extend(map(list, zip(*found[name], strict=True)))
        return _statement(used), arguments


@cache
def _statement(used: tuple[str, ...]) -> str:
    """Every part but the last becomes a CTE; ``$1`` is the payload."""
    texts = []
    first = 2
    for part in PARTS:
        if part.name in used:
            texts.append(_numbered(part, first))
            first += part.columns
    ctes = [f"part{number} as ({text})" for number, text in enumerate(texts[:-1])]
    # Names the payload's type even where no part has one.
    ctes.append("payload as (select $1::bytea)")
    return "with " + ",\n".join(ctes) + "\n" + texts[-1]


def _numbered(part: Part, first: int) -> str:
    text = part.sql.replace("$payload", "$0")
    for column in range(part.columns, 0, -1):
        text = text.replace(f"${column}:", f"${column + first - 1}:")
    return text.replace("$0", "$1")


def merged(requests: Sequence[Rows]) -> Rows:
    """The rows of all, in the order of arrival."""
    rows = Rows()
    for request in requests:
        rows.merge(request)
    return rows

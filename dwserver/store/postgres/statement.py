"""The text of the commit statement, one for each shape of a batch.

A statement has only the parts for which the batch has rows. The same shape gives the
same text and hence the same prepared statement. When every transition has one guard,
the guarded row change itself decides (*simple*); otherwise the guarded rows are locked
in order first (*locking*), because no row may change before all guards are known.
"""

from __future__ import annotations

from functools import cache

from dwserver.store.postgres.blocks import BLOCKS
from dwserver.store.postgres.rows import GUARD_PARTS, PARTS

# `flags` says for each transition whether it applies; a subscript finds it in constant
# time, where a join would compare every row with every transition.
_GUARDS_HOLD = "(select ok.flags from ok)[x.n]"

# `in` and `not in` outside of a join condition are hashed. $1: the run that decides
# each transition.
_SIMPLE_OK = """ok as materialized (
select array_agg(g.run_id in (select d.id from decided d)) as flags
from unnest($1::text[]) g(run_id)
)"""

# $1: number of transitions, $2: guards on runs, $3: guards on leases.
_FAILED = """failed as materialized (
select g.n
from unnest($2::run_guard[]) g
where g.run_id not in (select l.id from locked_runs l)
union all
select g.n
from unnest($3::lease_guard[]) g
where g.lease_expires_at is not null
and g.task_id not in (select l.id from locked_tasks l)"""
_LOCKING_OK = """ok as materialized (
select array_agg(t.n not in (select f.n from failed f)) as flags
from generate_series(1, $1::integer) t(n)
)"""

# Guards on rows: the transition that holds each. Their columns differ, their first does
# not.
_GUARD_TYPES = {
    "list_leader_terms": "term_guard",
    "list_schedule_versions": "schedule_guard",
}
# What must not exist yet: rows by their part, and the block that finds them taken.
_TAKEN = {
    "insert_instances": "list_taken_ids",
    "insert_schedules": "list_taken_schedules",
    "insert_occurrences": "list_recorded_occurrences",
}


@cache
def simple_statement(parts: frozenset[str]) -> str:
    """Arguments: the deciding run ids, then the rows of the parts in their order."""
    terms: list[str] = []
    deciding: list[str] = []
    for number, name in _numbered(parts, first=2):
        if name == "insert_instances":
            tail = (
                "\non conflict (namespace, workflow_id) do nothing"
                "\nreturning current_run_id as id"
            )
            terms.append(_part(name, number, applies="true", tail=tail))
            deciding.append(f"select id from {name}")
        elif name == "update_runs":
            applies = "r.version = x.base_version"
            tail = "\nreturning r.id"
            terms.append(_part(name, number, applies=applies, tail=tail))
            deciding.append(f"select id from {name}")
        else:
            terms.append(_part(name, number))
    decided = "\nunion all\n".join(deciding)
    terms[len(deciding) : len(deciding)] = [f"decided as (\n{decided}\n)", _SIMPLE_OK]
    return _statement(terms)


@cache
def locking_statement(parts: frozenset[str]) -> str:
    """Arguments: the number of transitions, guards on runs, guards on leases, then the
    rows of the parts in their order.

    A workflow id or the id of a schedule that is taken at the same moment is a unique
    violation and fails the statement, because a part of a transition cannot be taken
    back in it.
    """
    numbers = {name: number for number, name in _numbered(parts, first=4)}
    failed = [_FAILED]
    terms = [
        f"locked_runs as (\n{_numbered_block('list_run_versions', 2)}\n)",
        f"locked_tasks as (\n{_numbered_block('list_lease_expiries', 3)}\n)",
    ]
    for name in GUARD_PARTS:
        if name in numbers:
            terms.append(f"{name} as (\n{_numbered_block(name, numbers[name])}\n)")
            failed.append(_missed_guard(name, numbers[name]))
    for name, block in _TAKEN.items():
        if name in numbers:
            failed.append(_numbered_block(block, numbers[name]))
    all_failed = "\nunion all\n".join(failed)
    terms += [f"{all_failed}\n)", _LOCKING_OK]
    terms += [
        _part(name, number)
        for name, number in numbers.items()
        if name not in GUARD_PARTS
    ]
    return _statement(terms)


def _missed_guard(name: str, number: int) -> str:
    return (
        f"select g.n\nfrom unnest(${number}::{_GUARD_TYPES[name]}[]) g\n"
        f"where g.n not in (select l.n from {name} l)"
    )


def _numbered(parts: frozenset[str], *, first: int) -> list[tuple[int, str]]:
    return list(enumerate((name for name in PARTS if name in parts), start=first))


def _numbered_block(name: str, number: int) -> str:
    return BLOCKS[name].replace("$1", f"${number}")


def _part(
    name: str, number: int, *, applies: str = _GUARDS_HOLD, tail: str = ""
) -> str:
    text = _numbered_block(name, number).replace("{applies}", applies)
    return f"{name} as (\n{text}{tail}\n)"


def _statement(terms: list[str]) -> str:
    return f"with {', '.join(terms)}\nselect ok.flags from ok"

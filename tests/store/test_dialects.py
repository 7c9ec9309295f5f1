"""Two dialects, one schema: equal names of migrations, tables, columns, SQL blocks."""

from __future__ import annotations

import re
from enum import StrEnum
from importlib.resources import files

from dwserver.engine import words
from dwserver.store.migrations import load_migrations
from dwserver.store.sql_files import load_blocks, parse_blocks
from tests.store.raw_sql import execute

SQLITE = "dwserver.store.sqlite"
POSTGRES = "dwserver.store.postgres"

# SQLite copies what an update names: payloads are named only when they change.
SQLITE_BLOCKS = {"update_run_inputs", "update_run_outputs"}

SQLITE_COLUMNS = """
select t.name, c.name, c."notnull", c.pk
from sqlite_schema t
join pragma_table_info(t.name) c
where t.type = 'table'
"""
POSTGRES_COLUMNS = """
select
    c.table_name::text,
    c.column_name::text,
    (c.is_nullable = 'NO')::integer,
    coalesce(array_position(k.columns, c.column_name::text), 0)
from information_schema.columns c
join information_schema.tables t using (table_schema, table_name)
left join (
    select
        i.indrelid::regclass::text as table_name,
        array_agg(a.attname::text order by array_position(i.indkey::int2[], a.attnum))
            as columns
    from pg_index i
    join pg_attribute a on a.attrelid = i.indrelid and a.attnum = any(i.indkey::int2[])
    where i.indisprimary
    group by i.indrelid
) k on k.table_name = c.table_name
where c.table_schema = 'public'
and t.table_type = 'BASE TABLE'
"""


def test_migrations_have_the_same_names() -> None:
    names = [migration.name for migration in load_migrations(SQLITE)]
    assert names == [migration.name for migration in load_migrations(POSTGRES)]


def test_migrations_create_the_same_tables() -> None:
    for ours, theirs in zip(
        load_migrations(SQLITE), load_migrations(POSTGRES), strict=True
    ):
        assert ours.tables == theirs.tables


async def test_tables_have_the_same_columns_and_keys(
    sqlite_url: str, postgres_url: str
) -> None:
    sqlite = await execute(sqlite_url, SQLITE_COLUMNS)
    postgres = await execute(postgres_url, POSTGRES_COLUMNS)
    assert len(sqlite) > 200
    assert sorted(sqlite, key=str) == sorted(postgres, key=str)


def test_blocks_have_the_same_names() -> None:
    sqlite, postgres = set(load_blocks(SQLITE)), set(load_blocks(POSTGRES))
    assert sqlite - postgres == SQLITE_BLOCKS
    assert postgres - sqlite == set()


def test_what_both_dialects_say_alike_is_written_once() -> None:
    sqlite, postgres = (_own_blocks(package) for package in (SQLITE, POSTGRES))
    assert "load_runs" in postgres
    assert [name for name in sqlite if sqlite[name] == postgres.get(name)] == []


def _own_blocks(package: str) -> dict[str, str]:
    folder = files(package).joinpath("sql")
    blocks: dict[str, str] = {}
    for file in folder.iterdir():
        blocks |= parse_blocks(file.read_text("utf-8"))
    return blocks


# Words of rollouts and schedules are not the engine's.
VOCABULARIES: dict[str, tuple[type[StrEnum], str]] = {
    "run_status": (words.RunStatus, "runs_status"),
    "run_status_bucket": (words.StatusBucket, "runs_status_bucket"),
    "task_kind": (words.TaskKind, "tasks_kind"),
    "task_status": (words.TaskStatus, "tasks_status"),
    "activity_status": (words.ActivityStatus, "activities_status"),
    "attempt_status": (words.AttemptStatus, "activity_attempts_status"),
    "timer_status": (words.TimerStatus, "timers_status"),
    "timer_kind": (words.TimerKind, "timers_kind"),
    "command_status": (words.CommandStatus, "commands_status"),
    "child_status": (words.ChildStatus, "children_status"),
    "parent_close_policy": (words.ParentClosePolicy, "children_policy"),
    "wait_for": (words.WaitFor, "waits_for"),
    "wait_status": (words.WaitStatus, "waits_status"),
    "signal_status": (words.SignalStatus, "signals_status"),
    "update_status": (words.UpdateStatus, "updates_status"),
}


def test_databases_accept_the_words_of_the_engine() -> None:
    domains = _word_lists(POSTGRES, r"create domain (\w+) .*?check \((.*?)\)\)?;")
    checks = _word_lists(SQLITE, r"constraint (\w+) check \(\s*\w+ in \((.*?)\)")
    assert set(domains) == set(VOCABULARIES)
    for domain, (vocabulary, check) in VOCABULARIES.items():
        assert domains[domain] == checks[check] == {word.value for word in vocabulary}


def _word_lists(package: str, pattern: str) -> dict[str, set[str]]:
    text = "".join(migration.text for migration in load_migrations(package))
    return {
        name: set(re.findall(r"'(\w+)'", listed))
        for name, listed in re.findall(pattern, text, re.DOTALL)
    }

"""Two dialects, one schema: equal names of migrations, tables, columns, SQL blocks."""

from __future__ import annotations

from dwserver.store.migrations import load_migrations
from dwserver.store.sql import load_blocks
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

"""Database and Redis URLs, given or composed from the conventional names."""

from __future__ import annotations

import pytest

from dwserver.config.errors import ConfigurationError
from dwserver.config.settings import load_settings

POSTGRES = {
    "DB_CONNECTION": "pgsql",
    "DB_HOST": "db",
    "DB_DATABASE": "durable_workflow",
    "DB_USERNAME": "workflow",
    "DB_PASSWORD": "s3cret",
}


@pytest.mark.parametrize(
    ("environ", "url"),
    [
        (POSTGRES, "postgresql://workflow:s3cret@db:5432/durable_workflow"),
        (
            POSTGRES | {"DB_PASSWORD": "p@s:s/w%", "DB_PORT": "6432"},
            "postgresql://workflow:p%40s%3As%2Fw%25@db:6432/durable_workflow",
        ),
        (
            POSTGRES | {"DB_PASSWORD": "null", "DB_SSLMODE": "require"},
            "postgresql://workflow@db:5432/durable_workflow?sslmode=require",
        ),
        (
            POSTGRES | {"DB_HOST": "::1"},
            "postgresql://workflow:s3cret@[::1]:5432/durable_workflow",
        ),
        (
            POSTGRES | {"DB_SOCKET": "/run/pg"},
            "postgresql://workflow:s3cret@/durable_workflow?host=%2Frun%2Fpg&port=5432",
        ),
        (
            POSTGRES | {"DB_PORT": "tcp://10.0.0.1:5432"},
            "postgresql://workflow:s3cret@db:5432/durable_workflow",
        ),
        (
            {"DB_HOST": "db", "DB_DATABASE": "d"},
            "postgresql://db:5432/d",
        ),
        (
            {"DB_CONNECTION": "sqlite", "DB_DATABASE": "/data/dw.sqlite"},
            "sqlite:////data/dw.sqlite",
        ),
        ({"DB_DATABASE": "dw.sqlite"}, "sqlite:///dw.sqlite"),
        ({"DB_URL": "pgsql://u:p@h/d"}, "postgresql://u:p@h/d"),
        (
            {"DW_DATABASE_URL": "postgres://u:p%2C@a,b:5433,[::1]:1/d?sslmode=require"},
            "postgresql://u:p%2C@a,b:5433,[::1]:1/d?sslmode=require",
        ),
        (
            POSTGRES | {"DB_HOST": "a,::1"},
            "postgresql://workflow:s3cret@a:5432,[::1]:5432/durable_workflow",
        ),
        ({"DB_URL": "postgres://h/d"} | POSTGRES, "postgresql://h/d"),
        (
            {"DW_DATABASE_URL": "sqlite:///x.sqlite"} | POSTGRES,
            "sqlite:///x.sqlite",
        ),
    ],
)
def test_database_url_is_given_or_composed(environ: dict[str, str], url: str) -> None:
    assert load_settings(environ).database.url == url


@pytest.mark.parametrize(
    ("environ", "path"),
    [
        ({"DW_DATABASE_URL": "sqlite:///dw.sqlite"}, "dw.sqlite"),
        ({"DW_DATABASE_URL": "sqlite:////data/dw.sqlite"}, "/data/dw.sqlite"),
        (POSTGRES, None),
    ],
)
def test_sqlite_path_is_relative_with_three_slashes_absolute_with_four(
    environ: dict[str, str], path: str | None
) -> None:
    assert load_settings(environ).database.sqlite_path == path


@pytest.mark.parametrize(
    ("environ", "url"),
    [
        ({}, None),
        ({"REDIS_PORT": "6380", "REDIS_PASSWORD": "x"}, None),
        ({"REDIS_HOST": "cache"}, "redis://cache:6379/0"),
        (
            {
                "REDIS_HOST": "cache",
                "REDIS_USERNAME": "u",
                "REDIS_PASSWORD": "p@",
                "REDIS_DB": "2",
                "REDIS_PORT": "6380",
            },
            "redis://u:p%40@cache:6380/2",
        ),
        (
            {"REDIS_HOST": "cache", "REDIS_PASSWORD": "p", "REDIS_USERNAME": "null"},
            "redis://:p@cache:6379/0",
        ),
        ({"REDIS_HOST": "tls://cache"}, "rediss://cache:6379/0"),
        ({"REDIS_URL": "rediss://cache:6379/1"}, "rediss://cache:6379/1"),
        (
            {"DW_REDIS_URL": "redis://a", "REDIS_URL": "redis://b"},
            "redis://a",
        ),
    ],
)
def test_redis_url_is_given_or_composed(
    environ: dict[str, str], url: str | None
) -> None:
    assert load_settings(environ).redis.url == url


@pytest.mark.parametrize(
    ("environ", "variable"),
    [
        ({"DB_CONNECTION": "mysql", "DB_DATABASE": "d"}, "DB_CONNECTION"),
        ({"DB_CONNECTION": "pgsql"}, "DB_DATABASE"),
        (POSTGRES | {"DB_PORT": "many"}, "DB_PORT"),
        ({"DB_URL": "postgresql://host"}, "DB_URL"),
        ({"DW_DATABASE_URL": "sqlite://dw.sqlite"}, "DW_DATABASE_URL"),
        ({"DW_DATABASE_URL": "postgresql://h:port/d"}, "DW_DATABASE_URL"),
        ({"DW_DATABASE_URL": "postgresql://a,,b/d"}, "DW_DATABASE_URL"),
        ({"DW_DATABASE_URL": "postgresql://a:1,b:port/d"}, "DW_DATABASE_URL"),
        ({"DW_DATABASE_URL": "postgresql://a,b"}, "DW_DATABASE_URL"),
        ({"DW_REDIS_URL": "redis://"}, "DW_REDIS_URL"),
        ({"REDIS_HOST": "h", "REDIS_PORT": "0"}, "REDIS_PORT"),
        ({"REDIS_HOST": "h", "REDIS_DB": "first"}, "REDIS_DB"),
    ],
)
def test_connection_names_that_make_no_url_are_refused(
    environ: dict[str, str], variable: str
) -> None:
    with pytest.raises(ConfigurationError) as caught:
        load_settings(environ)
    assert [problem.variable for problem in caught.value.problems] == [variable]

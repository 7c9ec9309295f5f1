"""Rows: the HTTP listener, the database and Redis."""

from __future__ import annotations

from dwserver.config.variable import Origin, Variable
from dwserver.config.variable import ValueType as T

HTTP_VARIABLES = (
    Variable(
        "DW_HTTP_HOST",
        T.STRING,
        "http.host",
        default="127.0.0.1",
        origin=Origin.OWN,
        description="Address that the HTTP listener binds; containers set 0.0.0.0.",
    ),
    Variable(
        "DW_HTTP_PORT",
        T.INTEGER,
        "http.port",
        default=8080,
        minimum=0,
        maximum=65535,
        origin=Origin.OWN,
        also_reads=("SERVER_PORT",),
        description="Port of the HTTP listener; 0 takes any free one.",
    ),
    Variable(
        "DW_HTTP_REUSE_PORT",
        T.BOOLEAN,
        "http.reuse_port",
        default=False,
        origin=Origin.OWN,
        description="Let several processes of this machine listen on the port, as "
        "`dwserver serve --processes` does.",
    ),
    Variable(
        "DW_INTERNAL_PORT",
        T.INTEGER,
        "http.internal_port",
        minimum=0,
        maximum=65535,
        origin=Origin.OWN,
        description="Port of a second listener, for the other nodes; 0 takes any free "
        "one. Processes that share a port need it to be told apart.",
    ),
    Variable(
        "DW_COMPRESSION_ENABLED",
        T.BOOLEAN,
        "http.compression_enabled",
        default=True,
        description="Compress large JSON answers for clients that accept it.",
    ),
    Variable(
        "DW_MAX_IMPORT_BYTES",
        T.INTEGER,
        "http.max_import_bytes",
        default=67_108_864,
        unit="bytes",
        minimum=1,
        origin=Origin.OWN,
        description="Largest body of a request to import a history bundle.",
    ),
)

DATABASE_VARIABLES = (
    Variable(
        "DW_DATABASE_URL",
        T.URL,
        "database.url",
        default="sqlite:///dwserver.sqlite",
        is_secret=True,
        expected="sqlite:///path or postgresql://user:password@host:port/database",
        origin=Origin.OWN,
        also_reads=(
            "DB_URL",
            "DB_CONNECTION",
            "DB_HOST",
            "DB_PORT",
            "DB_DATABASE",
            "DB_USERNAME",
            "DB_PASSWORD",
            "DB_SOCKET",
            "DB_SSLMODE",
        ),
        description="Where durable state lives; an absolute SQLite path has four "
        "slashes, and DB_* names compose the URL when it is unset. Of several "
        "PostgreSQL hosts (`a,b:5433`) the one that takes writes is used.",
    ),
    Variable(
        "DW_DATABASE_POOL_SIZE",
        T.INTEGER,
        "database.pool_size",
        default=10,
        unit="connections",
        minimum=1,
        maximum=1000,
        origin=Origin.OWN,
        description="Most connections that this process opens to PostgreSQL, "
        "or reader threads on SQLite.",
    ),
    Variable(
        "DW_DATABASE_WRITERS",
        T.INTEGER,
        "database.writers",
        default=2,
        unit="flushes",
        minimum=1,
        maximum=16,
        origin=Origin.OWN,
        description="Combined writes that may be in flight at once on PostgreSQL.",
    ),
    Variable(
        "DW_DATABASE_STATEMENT_CACHE",
        T.INTEGER,
        "database.statement_cache",
        default=256,
        unit="statements",
        minimum=0,
        origin=Origin.OWN,
        description="Prepared statements kept per connection; 0 behind a "
        "transaction pooler such as PgBouncer.",
    ),
    Variable(
        "DW_DATABASE_COMMAND_TIMEOUT_SECONDS",
        T.NUMBER,
        "database.command_timeout_seconds",
        default=30.0,
        unit="seconds",
        minimum=0.1,
        origin=Origin.OWN,
        description="Longest time that one database statement may take.",
    ),
    Variable(
        "DW_REDIS_URL",
        T.URL,
        "redis.url",
        is_secret=True,
        expected="redis://, rediss://, unix://, redis+sentinel:// or "
        "redis+cluster:// followed by an address",
        origin=Origin.OWN,
        also_reads=(
            "REDIS_URL",
            "REDIS_HOST",
            "REDIS_PORT",
            "REDIS_USERNAME",
            "REDIS_PASSWORD",
            "REDIS_DB",
        ),
        description="Shared coordination between processes: one server, "
        "`redis+sentinel://host,host/service` or `redis+cluster://host,host`; unset "
        "keeps it in memory, and REDIS_* names compose the URL.",
    ),
    Variable(
        "DW_V2_VALIDATE_CACHE_BACKEND",
        T.BOOLEAN,
        "redis.validate_at_boot",
        default=True,
        origin=Origin.PACKAGE,
        description="Check at boot that several nodes share their coordination.",
    ),
    Variable(
        "DW_V2_CACHE_VALIDATION_MODE",
        T.ENUM,
        "redis.validation_mode",
        default="warn",
        choices=("fail", "warn", "silent"),
        origin=Origin.PACKAGE,
        description="What a failed coordination check does.",
    ),
)

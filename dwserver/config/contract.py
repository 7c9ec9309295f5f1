"""The table of every variable that the server honours, and what derives from it.

Names of the original: spec/topology-and-operations.md §9.1 and §9.2 (seed 004,
last table). Names with `Origin.OWN` are this project's.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

from dwserver.config.tables.auth import AUTH_VARIABLES
from dwserver.config.tables.connections import DATABASE_VARIABLES, HTTP_VARIABLES
from dwserver.config.tables.execution import EXECUTION_VARIABLES
from dwserver.config.tables.limits import (
    ENGINE_VARIABLES,
    HISTORY_VARIABLES,
    LIMIT_VARIABLES,
)
from dwserver.config.tables.operations import (
    COMPATIBILITY_VARIABLES,
    OPERATIONS_VARIABLES,
    REPAIR_VARIABLES,
)
from dwserver.config.tables.scheduler import SCHEDULER_VARIABLES
from dwserver.config.tables.server import SERVER_VARIABLES
from dwserver.config.tables.storage import STORAGE_VARIABLES
from dwserver.config.tables.worker_plane import (
    ADMISSION_VARIABLES,
    WORKER_PLANE_VARIABLES,
)
from dwserver.config.variable import Group, Variable

SECTIONS: Mapping[Group, tuple[Variable, ...]] = MappingProxyType(
    {
        Group.SERVER: SERVER_VARIABLES,
        Group.EXECUTION: EXECUTION_VARIABLES,
        Group.HTTP: HTTP_VARIABLES,
        Group.DATABASE: DATABASE_VARIABLES,
        Group.AUTH: AUTH_VARIABLES,
        Group.WORKER_PLANE: WORKER_PLANE_VARIABLES,
        Group.ADMISSION: ADMISSION_VARIABLES,
        Group.LIMITS: LIMIT_VARIABLES,
        Group.STORAGE: STORAGE_VARIABLES,
        Group.HISTORY: HISTORY_VARIABLES,
        Group.COMPATIBILITY: COMPATIBILITY_VARIABLES,
        Group.REPAIR: REPAIR_VARIABLES,
        Group.SCHEDULER: SCHEDULER_VARIABLES,
        Group.ENGINE: ENGINE_VARIABLES,
        Group.OPERATIONS: OPERATIONS_VARIABLES,
    }
)

CONTRACT: tuple[Variable, ...] = tuple(
    variable for variables in SECTIONS.values() for variable in variables
)

BY_NAME: Mapping[str, Variable] = MappingProxyType(
    {variable.name: variable for variable in CONTRACT}
)

REPLACEMENTS: Mapping[str, str] = MappingProxyType(
    {
        variable.legacy_alias: variable.name
        for variable in CONTRACT
        if variable.legacy_alias is not None
    }
)
"""Legacy name -> the contract name that replaced it."""


@dataclass(frozen=True, slots=True)
class InfrastructureName:
    """A conventional name outside the contract that the server reads."""

    name: str
    description: str
    is_secret: bool = False


INFRASTRUCTURE: tuple[InfrastructureName, ...] = (
    InfrastructureName("SERVER_PORT", "Port, when DW_HTTP_PORT is unset."),
    InfrastructureName("APP_VERSION", "Build version published by discovery."),
    InfrastructureName("DB_URL", "Database URL, when DW_DATABASE_URL is unset.", True),
    InfrastructureName(
        "DB_CONNECTION",
        "`pgsql` or `sqlite`; unset means `pgsql` when DB_HOST, DB_SOCKET or "
        "DB_USERNAME is set.",
    ),
    InfrastructureName("DB_HOST", "PostgreSQL host, default 127.0.0.1."),
    InfrastructureName("DB_PORT", "PostgreSQL port, default 5432."),
    InfrastructureName("DB_DATABASE", "PostgreSQL database, or the SQLite file."),
    InfrastructureName("DB_USERNAME", "PostgreSQL user."),
    InfrastructureName("DB_PASSWORD", "PostgreSQL password.", True),
    InfrastructureName("DB_SOCKET", "Directory of the PostgreSQL unix socket."),
    InfrastructureName("DB_SSLMODE", "PostgreSQL TLS mode, such as `require`."),
    InfrastructureName("REDIS_URL", "Redis URL, when DW_REDIS_URL is unset.", True),
    InfrastructureName("REDIS_HOST", "Redis host; its presence switches Redis on."),
    InfrastructureName("REDIS_PORT", "Redis port, default 6379."),
    InfrastructureName("REDIS_USERNAME", "Redis user."),
    InfrastructureName("REDIS_PASSWORD", "Redis password.", True),
    InfrastructureName("REDIS_DB", "Redis database number, default 0."),
)

FRAMEWORK_PREFIXES = (
    "APP_",
    "AWS_",
    "BROADCAST_",
    "DB_",
    "LOG_",
    "MAIL_",
    "MEMCACHED_",
    "PUSHER_",
    "REDIS_",
    "SESSION_",
)
"""Prefixes of infrastructure names that are recognised, read or not (§9.3)."""

FRAMEWORK_NAMES = frozenset(
    {
        "BCRYPT_ROUNDS",
        "CACHE_PREFIX",
        "CACHE_STORE",
        "FILESYSTEM_DISK",
        "PHP_CLI_SERVER_WORKERS",
        "QUEUE_CONNECTION",
        "SERVER_PORT",
        "VITE_APP_NAME",
    }
)

"""Which database a URL means: the one place that knows the adapters.

``sqlite:///relative/path``, ``sqlite:////absolute/path`` or ``postgresql://…``. Only
the adapter that a URL names is imported, and with it its driver.
"""

from __future__ import annotations

import asyncio
from importlib import import_module
from pathlib import Path

from dwserver.store.api import Namespace, Store
from dwserver.store.combiner import Observe
from dwserver.store.migrations import BootstrapReport

_SQLITE = "sqlite:///"
_POSTGRES = "postgresql://"


class UnknownDatabaseError(ValueError):
    """The URL names no database that there is an adapter for."""


def open_store(
    url: str,
    *,
    pool_size: int = 10,
    writers: int = 2,
    statement_cache_size: int = 256,
    command_timeout_seconds: float = 30.0,
    reads_only: bool = False,
    observe: Observe | None = None,
) -> Store:
    """The store of a database, to be opened by its ``open()``.

    All but the last two concern connections to a server; a file has its own threads.
    ``reads_only``: it may be a file that another process serves, and must exist.
    Raises UnknownDatabaseError.
    """
    store: Store
    if (path := _sqlite_path(url)) is not None:
        sqlite = import_module("dwserver.store.sqlite.store")
        store = sqlite.SqliteStore(path, reads_only=reads_only, observe=observe)
        return store
    postgres = import_module("dwserver.store.postgres.store")
    store = postgres.PostgresStore(
        url,
        pool_size=pool_size,
        writers=writers,
        statement_cache_size=statement_cache_size,
        command_timeout_seconds=command_timeout_seconds,
        observe=observe,
    )
    return store


async def bootstrap(
    url: str, *, namespace: Namespace | None = None, plan: bool = False
) -> BootstrapReport:
    """Bring the schema of a database up to date and create ``namespace`` unless it
    exists; ``plan``: only look.

    Idempotent, and safe when several start at once. Raises UnknownDatabaseError or
    StoreError.
    """
    report: BootstrapReport
    if (path := _sqlite_path(url)) is not None:
        sqlite = import_module("dwserver.store.sqlite.bootstrap")
        report = await asyncio.to_thread(
            sqlite.bootstrap, path, namespace=namespace, plan=plan
        )
        return report
    postgres = import_module("dwserver.store.postgres.bootstrap")
    report = await postgres.bootstrap(url, plan=plan)
    if namespace is not None and not plan:
        await _create_namespace(open_store(url), namespace)
    return report


async def _create_namespace(store: Store, namespace: Namespace) -> None:
    await store.open()
    try:
        await store.create_namespace(namespace)
    finally:
        await store.close()


def _sqlite_path(url: str) -> Path | None:
    """The file of a SQLite URL, None for a PostgreSQL URL."""
    if url.startswith(_POSTGRES):
        return None
    path = url.removeprefix(_SQLITE) if url.startswith(_SQLITE) else ""
    if not path or path == ":memory:":
        # Not the URL itself: it may hold a password.
        scheme, separator, _ = url.partition("://")
        named = f"{scheme}{separator}…" if separator else "anything else"
        raise UnknownDatabaseError(
            "a database is named by sqlite:///path/of/a/file or by "
            f"postgresql://host/database, not by {named}"
        )
    return Path(path)

"""What is wrong with the surroundings of a node, looked at past any node.

Source: ``spec/topology-and-operations.md`` §4.8. It needs no prepared database and none
that answers: what does not is an issue of the report. Nothing is written but the key
with which Redis is probed.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Final

from dwserver.config.settings import Settings
from dwserver.config.shown_urls import without_secrets
from dwserver.coordination.redis_address import BadRedisAddress, parse_redis_url
from dwserver.coordination.redis_connection import RedisConnection, RedisUnavailable
from dwserver.http.system.backend_views import (
    Backend,
    Component,
    Issue,
    Severity,
    backend_view,
)
from dwserver.protocol.json_types import JsonObject
from dwserver.protocol.payloads.records import AVRO_CODEC, KNOWN_CODECS
from dwserver.roles.boot import boot_issues
from dwserver.roles.identity import node_facts, node_identity, server_facts
from dwserver.runtime.clock import SystemClock
from dwserver.store.api import MigrationReport, Store, StoreError
from dwserver.store.opening import open_store
from dwserver.topology.manifest import topology_manifest
from dwserver.topology.selection import select_topology

# For all that is asked of the database, and of Redis; both are asked at once.
PROBE_SECONDS: Final = 5.0

# Codecs of the original's PHP engine.
_LEGACY_CODECS: Final = ("workflow-serializer-y", "workflow-serializer-base64")
_BOOTSTRAP: Final = "run `dwserver bootstrap`"


async def examine(settings: Settings) -> JsonObject:
    """The backend of operator metrics with what is wrong, ``matching_role`` and
    ``topology``. Takes about twice ``PROBE_SECONDS`` at most; never raises for what it
    examines."""
    asked = await asyncio.gather(_database_issues(settings), _cache_issues(settings))
    issues = [issue for found in asked for issue in found]
    issues += [*_codec_issues(settings), *boot_issues(settings)]
    issues += _replaced_words(settings)
    backend = Backend(
        database_driver=node_facts(settings).backend_driver,
        cache_store="memory" if settings.redis.url is None else "redis",
        structural_limits=server_facts(settings).structural_limits,
        configured_codec=settings.engine.configured_codec,
    )
    topology = topology_manifest(node_identity(settings))
    return {
        **backend_view(backend, now=SystemClock().now(), found=issues),
        "matching_role": topology["matching_role"],
        "topology": topology,
    }


# database -------------------------------------------------------------------------
async def _database_issues(settings: Settings) -> list[Issue]:
    url = settings.database.url
    if _is_file_missing(settings):
        text = f"there is no database file yet; {_BOOTSTRAP}"
        return [_database_error("database_missing", text)]
    try:
        async with asyncio.timeout(PROBE_SECONDS), _opened(settings) as store:
            await store.ping()
            return [issue async for issue in _schema_issues(settings, store)]
    except TimeoutError:
        text = f"no answer within {PROBE_SECONDS:g} s"
    except (StoreError, OSError) as error:
        text = without_secrets(str(error), url)
    return [_database_error("database_unreachable", text)]


def _is_file_missing(settings: Settings) -> bool:
    path = settings.database.sqlite_path
    return path is not None and not Path(path).exists()


@asynccontextmanager
async def _opened(settings: Settings) -> AsyncIterator[Store]:
    store = open_store(
        settings.database.url,
        pool_size=1,
        writers=1,
        statement_cache_size=settings.database.statement_cache,
        command_timeout_seconds=PROBE_SECONDS,
        reads_only=True,
    )
    await store.open()
    try:
        yield store
    finally:
        await store.close()


async def _schema_issues(settings: Settings, store: Store) -> AsyncIterator[Issue]:
    report = await store.migration_report()
    for issue in _migration_issues(report):
        yield issue
    if report.blocking or report.missing_tables:
        return
    name = settings.server.default_namespace.lower()
    if await store.find_namespace(name) is None:
        text = f"the namespace {name} does not exist; {_BOOTSTRAP}"
        yield _database_error("default_namespace_missing", text)


def _migration_issues(report: MigrationReport) -> Iterator[Issue]:
    if report.blocking:
        names = ", ".join(report.blocking)
        text = f"migrations have not run: {names}; {_BOOTSTRAP}"
        yield _database_error("migrations_pending", text)
    if report.missing_tables:
        names = ", ".join(report.missing_tables)
        text = f"tables of migrations that have run are missing: {names}"
        yield _database_error("tables_missing", text)
    if report.adoptable:
        names = ", ".join(report.adoptable)
        text = f"migrations are not recorded, but their tables are there: {names}"
        yield _database_issue(
            Severity.WARNING, "migrations_adoptable", f"{text}; {_BOOTSTRAP}"
        )
    if report.unknown:
        names = ", ".join(report.unknown)
        text = f"migrations of a newer release have run: {names}"
        yield _database_issue(Severity.INFO, "migrations_newer", text)


def _database_issue(severity: Severity, code: str, text: str) -> Issue:
    return Issue(Component.DATABASE, severity, code, text)


def _database_error(code: str, text: str) -> Issue:
    return _database_issue(Severity.ERROR, code, text)


# coordination ---------------------------------------------------------------------
class _Unobserved:
    def redis_is_up(self, is_up: bool) -> None:
        """The report tells of it."""


async def _cache_issues(settings: Settings) -> list[Issue]:
    url = settings.redis.url
    if url is None:
        return []
    try:
        address = parse_redis_url(url)
    except BadRedisAddress as error:
        text = without_secrets(f"DW_REDIS_URL: {error}", url)
        return [Issue(Component.CACHE, Severity.ERROR, "cache_address_unusable", text)]
    redis = RedisConnection(address, observer=_Unobserved())
    why = await _why_not(redis.probe)
    await redis.close()
    if why is None:
        return []
    text = (
        f"Redis does not answer ({without_secrets(why, url)}): until it does, queries "
        "are refused, capped queues give out no tasks, and other news come late"
    )
    return [Issue(Component.CACHE, Severity.WARNING, "cache_unreachable", text)]


async def _why_not(probe: Callable[[], Awaitable[None]]) -> str | None:
    try:
        async with asyncio.timeout(PROBE_SECONDS):
            await probe()
    except TimeoutError:
        return f"no answer within {PROBE_SECONDS:g} s"
    except RedisUnavailable as error:
        return str(error)
    return None


# settings -------------------------------------------------------------------------
def _codec_issues(settings: Settings) -> Iterator[Issue]:
    word = settings.engine.configured_codec.lower()
    if word in KNOWN_CODECS:
        return
    is_legacy = word in _LEGACY_CODECS
    yield Issue(
        Component.CODEC,
        Severity.WARNING if is_legacy else Severity.ERROR,
        "codec_legacy" if is_legacy else "codec_unknown",
        f"DW_SERIALIZER is {word}, but new runs always use {AVRO_CODEC}",
    )


def _replaced_words(settings: Settings) -> Iterator[Issue]:
    """What is not as it was configured."""
    topology = settings.topology
    selected = select_topology(topology.shape, topology.process_class)
    for warning in selected.warnings:
        yield Issue(
            Component.TOPOLOGY,
            Severity.WARNING,
            "topology_word_replaced",
            f"the {warning.part.value} [{warning.configured}] is unknown here: "
            f"[{warning.used}] takes its place",
        )
    for problem in settings.warnings:
        yield Issue(
            Component.CONFIGURATION,
            Severity.WARNING,
            "setting_replaced",
            str(problem),
        )

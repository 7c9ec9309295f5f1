"""Bring a database up to date: schema and default namespace."""

from __future__ import annotations

import asyncio

import structlog

from dwserver.config.settings import Settings
from dwserver.roles.reading import named_failures
from dwserver.runtime.clock import SystemClock
from dwserver.store.api import Namespace, StoreUnavailable
from dwserver.store.migrations import BootstrapReport
from dwserver.store.opening import bootstrap

_log = structlog.stdlib.get_logger(__name__)


async def bootstrap_database(
    settings: Settings, *, plan: bool = False
) -> BootstrapReport:
    """Apply pending migrations and make the default namespace; retried while the
    database cannot be reached (DW_BOOTSTRAP_RETRIES). ``plan``: only look, once. What
    goes wrong is a StoreError whose text names the database."""
    attempts = 1 if plan else max(settings.boot.bootstrap_retries, 1)
    for attempt in range(1, attempts + 1):
        try:
            with named_failures(settings):
                return await bootstrap(
                    settings.database.url, namespace=_default(settings), plan=plan
                )
        except StoreUnavailable as error:
            if attempt == attempts:
                raise
            _log.warning(
                "database_unreachable",
                attempt=attempt,
                attempts=attempts,
                error=str(error),
            )
            await asyncio.sleep(settings.boot.bootstrap_delay_seconds)
    raise AssertionError("the last attempt returns or raises")


def _default(settings: Settings) -> Namespace:
    now = SystemClock().now()
    return Namespace(
        name=settings.server.default_namespace.lower(),
        description="Default namespace",
        retention_days=settings.history.retention_days,
        status="active",
        external_storage=None,
        created_at=now,
        updated_at=now,
    )

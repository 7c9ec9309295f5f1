"""Query tasks of a process: both ends of the exchange."""

from __future__ import annotations

from dwserver.config.settings import Settings
from dwserver.coordination.query_tasks import QueryExchange
from dwserver.engine.wire_time import MICROS
from dwserver.matching.matcher import Matcher
from dwserver.runtime.clock import Clock
from dwserver.runtime.ids import IdSource
from dwserver.runtime.metrics import Metrics
from dwserver.services.poll_news import PollNews
from dwserver.services.queries import Queries
from dwserver.services.query_tasks import QueryTasks
from dwserver.services.query_workers import QueryWorkers
from dwserver.services.workers import Workers
from dwserver.store.api import Store


def build_queries(
    settings: Settings,
    store: Store,
    exchange: QueryExchange,
    *,
    workers: Workers,
    clock: Clock,
    ids: IdSource,
    metrics: Metrics,
) -> Queries:
    """The callers' end."""
    return Queries(
        store,
        exchange=exchange,
        workers=QueryWorkers(workers, now=clock.now),
        now=clock.now,
        next_id=ids.next,
        timeout=settings.query_tasks.timeout_seconds * MICROS,
        observe=metrics.queries.inc,
    )


def build_query_tasks(
    exchange: QueryExchange,
    *,
    workers: Workers,
    matcher: Matcher,
    news: PollNews,
    clock: Clock,
) -> QueryTasks:
    """The workers' end."""

    async def idle(seconds: float) -> None:
        await matcher.idle(seconds=seconds)

    return QueryTasks(exchange, workers=workers, idle=idle, news=news, now=clock.now)

"""The database of the settings, opened to be read past any node."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager

from dwserver.config.settings import Settings
from dwserver.config.shown_urls import shown_url, without_secrets
from dwserver.roles.errors import BootError
from dwserver.store.api import Store, StoreError, StoreUnavailable
from dwserver.store.opening import open_store


@asynccontextmanager
async def reading(settings: Settings) -> AsyncIterator[Store]:
    """A store that is only read; an SQLite file may be served meanwhile. What goes
    wrong is a StoreError whose text names the database, or a BootError because
    migrations are missing: what can be read without them is."""
    database = settings.database
    store = open_store(
        database.url,
        pool_size=1,
        writers=1,
        statement_cache_size=database.statement_cache,
        command_timeout_seconds=database.command_timeout_seconds,
        reads_only=True,
    )
    with named_failures(settings):
        await store.open()
        try:
            yield store
        except StoreUnavailable:
            raise
        except StoreError:
            await require_schema(store)
            raise
        finally:
            await store.close()


@contextmanager
def named_failures(settings: Settings) -> Iterator[None]:
    """A StoreError of the block says which database it is about, never a password."""
    url = settings.database.url
    try:
        yield
    except StoreError as error:
        text = f"database {shown_url(url)}: {without_secrets(str(error), url)}"
        raise type(error)(text) from error


async def require_schema(store: Store) -> None:
    """Raises BootError while migrations are missing; StoreError."""
    report = await store.migration_report()
    if report.blocking:
        raise BootError(
            "the database is not prepared; run `dwserver bootstrap` against it "
            "(`dwserver migration-status` says what is missing)"
        )

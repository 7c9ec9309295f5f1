"""Creating and dropping databases of one PostgreSQL. No pytest here."""

from __future__ import annotations

import secrets
from urllib.parse import urlsplit, urlunsplit

import asyncpg

from tests.support.probes import run_in_thread


class PostgresDatabases:
    """Databases with unguessable names on the server of ``admin_dsn``.

    The methods block; each uses a connection of its own.
    """

    def __init__(self, admin_dsn: str) -> None:
        self._admin_dsn = admin_dsn

    def create(self, *, template: str | None = None) -> str:
        """URL of a new database, a copy of the one at URL ``template`` if given.

        PostgreSQL copies a template only while nobody is connected to it.
        """
        name = f"dw_{secrets.token_hex(8)}"
        source = "template0" if template is None else _database_of(template)
        self._execute(f'create database "{name}" template "{source}"')
        return urlunsplit(urlsplit(self._admin_dsn)._replace(path=f"/{name}"))

    def drop(self, url: str) -> None:
        """Drop it together with the connections that are still open to it."""
        self._execute(f'drop database if exists "{_database_of(url)}" with (force)')

    def _execute(self, statement: str) -> None:
        run_in_thread(self._execute_alone(statement))

    async def _execute_alone(self, statement: str) -> None:
        connection = await asyncpg.connect(self._admin_dsn)
        try:
            await connection.execute(statement)
        finally:
            await connection.close()


def _database_of(url: str) -> str:
    return urlsplit(url).path.lstrip("/")

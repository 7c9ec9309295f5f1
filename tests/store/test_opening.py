"""Which adapter a URL chooses."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from dwserver.store.api import StoreError
from dwserver.store.opening import UnknownDatabaseError, bootstrap, open_store
from dwserver.store.postgres import PostgresStore
from dwserver.store.sqlite import SqliteStore


async def test_absolute_and_relative_sqlite_paths(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    for url, path in (
        (f"sqlite:///{tmp_path}/absolute.db", tmp_path / "absolute.db"),
        ("sqlite:///relative file.db", tmp_path / "relative file.db"),
        ("sqlite:///50%?#.db", tmp_path / "50%?#.db"),
    ):
        await bootstrap(url)
        assert path.exists()
        store = open_store(url)
        assert isinstance(store, SqliteStore)
        await store.open()
        assert (await store.migration_report()).pending == ()
        await store.close()


def test_postgresql_url_chooses_its_adapter() -> None:
    url = "postgresql://somebody@localhost:1/nothing"
    assert isinstance(open_store(url, pool_size=1, writers=1), PostgresStore)


@pytest.mark.parametrize(
    "url",
    [
        "mysql://root:secret@host/db",
        "sqlite://secret.db",
        "sqlite:///",
        "sqlite:///:memory:",
        "secret",
        "",
    ],
)
async def test_other_urls_are_refused_without_showing_them(url: str) -> None:
    with pytest.raises(UnknownDatabaseError) as caught:
        open_store(url)
    assert "sqlite:///" in str(caught.value)
    assert "secret" not in str(caught.value)
    with pytest.raises(UnknownDatabaseError):
        await bootstrap(url)


async def test_bootstrap_of_a_database_that_cannot_be_reached(tmp_path: Path) -> None:
    for url in (
        f"sqlite:///{tmp_path}/no/such/folder/dw.sqlite",
        "postgresql://somebody@127.0.0.1:1/nothing",
    ):
        with pytest.raises(StoreError):
            await bootstrap(url)


def test_only_the_chosen_driver_is_imported() -> None:
    code = (
        "import sys; from dwserver.store.opening import open_store;"
        "assert not {'asyncpg', 'sqlite3'} & sys.modules.keys();"
        "open_store('sqlite:///x.db');"
        "assert 'asyncpg' not in sys.modules"
    )
    result = subprocess.run(
        [sys.executable, "-c", code],
        env=os.environ,
        cwd=Path(__file__).parents[2],
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )
    assert result.returncode == 0, result.stderr

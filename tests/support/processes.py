"""Fixture: server processes that end with the test."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Protocol

import pytest

from tests.support.server_process import ServerProcess

TEST_TOKEN = "test-token"


class StartServer(Protocol):
    def __call__(
        self,
        database_url: str,
        env: Mapping[str, str] | None = None,
        *,
        command: Sequence[str] = ("serve",),
    ) -> ServerProcess:
        """Start a node on a bootstrapped database and wait until it is ready.

        Its shared token is ``TEST_TOKEN``; ``env`` adds to its configuration.
        """
        ...


@pytest.fixture
def start_server(tmp_path: Path) -> Iterator[StartServer]:
    """Starts servers; they are killed when the test ends. Logs: ``server-N.log``."""
    with ExitStack() as servers:
        count = 0

        def start(
            database_url: str,
            env: Mapping[str, str] | None = None,
            *,
            command: Sequence[str] = ("serve",),
        ) -> ServerProcess:
            nonlocal count
            count += 1
            configuration = {
                "DW_DATABASE_URL": database_url,
                "DW_AUTH_TOKEN": TEST_TOKEN,
                **(env or {}),
            }
            return servers.enter_context(
                ServerProcess(
                    configuration,
                    log_path=tmp_path / f"server-{count}.log",
                    command=command,
                )
            )

        yield start

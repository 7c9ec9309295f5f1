"""A PostgreSQL and a Redis for one local cluster, gone with it."""

from __future__ import annotations

import os
import secrets
import shutil
import signal
import socket
import tempfile
from collections.abc import Mapping
from pathlib import Path

from dwserver.cli.local_cluster.binaries import (
    MIN_POSTGRES_MAJOR,
    MIN_REDIS_MAJOR,
    POSTGRES_FOLDERS,
    LocalServerError,
    find_postgres,
    find_redis,
    initdb_command,
    postgres_command,
    redis_command,
    server_account,
)
from dwserver.cli.local_cluster.child import Program

LOOPBACK = "127.0.0.1"


def free_port() -> int:
    """A port of the loopback interface that nobody listens on now."""
    with socket.socket() as probe:
        probe.bind((LOOPBACK, 0))
        return int(probe.getsockname()[1])


class TemporaryServer:
    """A database server in a folder of its own. ``preparation`` runs to its end before
    ``program`` is started. ``variable``: what configures a node to use it."""

    variable: str
    preparation: Program | None = None
    program: Program
    url: str

    def __init__(self, name: str) -> None:
        self.name = name
        self.port = free_port()
        self.user = server_account()
        self.folder = Path(tempfile.mkdtemp(prefix=f"dwserver-cluster-{name}-"))
        self._own(self.folder)

    def answers(self) -> bool:
        """Whether it takes connections."""
        try:
            with socket.create_connection((LOOPBACK, self.port), timeout=1):
                return True
        except OSError:
            return False

    def delete(self) -> None:
        """Remove what it kept."""
        shutil.rmtree(self.folder, ignore_errors=True)

    def _own(self, path: Path) -> None:
        if self.user is not None:
            os.chown(path, self.user.pw_uid, self.user.pw_gid)

    def _program(
        self,
        command: list[str],
        environment: Mapping[str, str],
        *,
        stop_signal: signal.Signals = signal.SIGTERM,
    ) -> Program:
        # Nothing of ours configures it.
        kept = {"PATH": environment.get("PATH", os.defpath), "LC_ALL": "C"}
        return Program(
            name=self.name,
            command=command,
            environment=kept,
            stop_signal=stop_signal,
            folder=self.folder,
            user=self.user,
        )


class TemporaryPostgres(TemporaryServer):
    """Raises :class:`LocalServerError` when there is none on this machine."""

    variable = "DW_DATABASE_URL"

    def __init__(self, environment: Mapping[str, str]) -> None:
        binaries = find_postgres()
        if binaries is None:
            raise LocalServerError(
                f"PostgreSQL >= {MIN_POSTGRES_MAJOR} is not on this machine (initdb "
                f"and postgres in PATH or {POSTGRES_FOLDERS}); give --database-url"
            )
        super().__init__("postgres")
        password = secrets.token_hex(16)
        password_file = self.folder / "password"
        password_file.touch(mode=0o600)
        password_file.write_text(password)
        self._own(password_file)
        data = self.folder / "data"
        self.url = f"postgresql://postgres:{password}@{LOOPBACK}:{self.port}/postgres"
        self.preparation = self._program(
            initdb_command(binaries, data, password_file), environment
        )
        settings = {
            "listen_addresses": LOOPBACK,
            "port": str(self.port),
            "max_connections": "200",
        }
        self.program = self._program(
            postgres_command(binaries, data, settings),
            environment,
            stop_signal=signal.SIGINT,  # disconnects its clients
        )


class TemporaryRedis(TemporaryServer):
    """Raises :class:`LocalServerError` when there is none on this machine."""

    variable = "DW_REDIS_URL"

    def __init__(self, environment: Mapping[str, str]) -> None:
        binary = find_redis()
        if binary is None:
            raise LocalServerError(
                f"Redis >= {MIN_REDIS_MAJOR} is not on this machine (redis-server in "
                "PATH); give --redis-url"
            )
        super().__init__("redis")
        self.url = f"redis://{LOOPBACK}:{self.port}/0"
        self.program = self._program(
            redis_command(binary, host=LOOPBACK, port=self.port, folder=self.folder),
            environment,
        )

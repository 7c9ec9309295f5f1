"""PostgreSQL and Redis of this machine, started on free ports in temp folders.

No pytest here: benchmarks start their databases with this module as well. Durability
is what tests are about, so ``fsync`` stays on unless a caller's setting says otherwise.
PostgreSQL refuses to run as root; then both run as an ordinary system user. They do not
outlive the process that started them, even if it is killed.
"""

from __future__ import annotations

import os
import secrets
import shutil
import signal
import subprocess
import tempfile
from abc import ABC, abstractmethod
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Self

from dwserver.cli.local_cluster.binaries import (
    LocalServerError,
    find_postgres,
    find_redis,
    initdb_command,
    missing,
    postgres_command,
    redis_command,
    server_account,
)
from dwserver.runtime import lifeline
from tests.support import probes
from tests.support.ports import LOOPBACK, free_port
from tests.support.waiting import wait_until

START_ATTEMPTS = 3
START_SECONDS = 90.0
STOP_SECONDS = 20.0


class LocalServer(ABC):
    """A server process in a temp folder of its own; a context manager.

    ``start`` after ``stop`` runs it again on the same data, on the same port.
    """

    name = "server"
    stop_signal = signal.SIGTERM
    crash_signal = signal.SIGKILL

    def __init__(self) -> None:
        self.port = free_port()
        self._user = server_account()
        self._process: subprocess.Popen[bytes] | None = None
        self.folder = Path(tempfile.mkdtemp(prefix=f"dwserver-{self.name}-"))
        if self._user is not None:
            os.chown(self.folder, self._user.pw_uid, self._user.pw_gid)

    def __enter__(self) -> Self:
        try:
            self.start()
        except BaseException:
            self.dispose()
            raise
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.dispose()

    @property
    def log_path(self) -> Path:
        return self.folder / "server.log"

    @property
    def pid(self) -> int:
        """Process id of the running server."""
        if self._process is None:
            raise LocalServerError(f"{self.name} is not running")
        return self._process.pid

    def start(self) -> None:
        """Start and wait until it answers; another port if this one was taken."""
        for attempt in range(START_ATTEMPTS):
            self._process = self._spawn(self._command())
            wait_until(
                lambda: self._answers() or self._has_died(),
                deadline_seconds=START_SECONDS,
                what=f"start of {self.name} (log: {self.log_path})",
            )
            if not self._has_died():
                return
            if attempt < START_ATTEMPTS - 1 and self._port_was_taken():
                self.port = free_port()
                continue
            raise LocalServerError(f"{self.name} does not start:\n{self._log()}")

    def stop(self) -> None:
        """Orderly shutdown; nothing when it does not run."""
        self._end(self.stop_signal)

    def crash(self) -> None:
        """End it at once, without a chance to write anything more."""
        self._end(self.crash_signal)

    def suspend(self) -> None:
        """Stop its clock: connections stay, nothing is answered (SIGSTOP)."""
        os.kill(self.pid, signal.SIGSTOP)

    def resume(self) -> None:
        os.kill(self.pid, signal.SIGCONT)

    def dispose(self) -> None:
        """Stop it and delete its folder."""
        self.stop()
        shutil.rmtree(self.folder, ignore_errors=True)

    @abstractmethod
    def _command(self) -> list[str]:
        """The command line that runs the server on ``self.port`` in the foreground."""

    @abstractmethod
    def _answers(self) -> bool:
        """Whether a client is served."""

    def _spawn(self, command: list[str]) -> subprocess.Popen[bytes]:
        with self.log_path.open("ab") as log:
            process = subprocess.Popen(
                command,
                cwd=self.folder,
                env={"PATH": os.environ.get("PATH", os.defpath), "LC_ALL": "C"},
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,  # Ctrl-C is for the tests, not for it
                user=self._user.pw_uid if self._user else None,
                group=self._user.pw_gid if self._user else None,
                extra_groups=[] if self._user else None,
            )
        signals = (self.stop_signal, self.crash_signal, signal.SIGKILL)
        lifeline.tie(process.pid, signals=signals, folder=self.folder)
        return process

    def _run(self, command: list[str]) -> None:
        process = self._spawn(command)
        if process.wait(timeout=START_SECONDS) != 0:
            raise LocalServerError(f"{command[0]} failed:\n{self._log()}")

    def _end(self, sign: signal.Signals) -> None:
        process, self._process = self._process, None
        if process is None:
            return
        process.send_signal(sign)
        try:
            process.wait(timeout=STOP_SECONDS)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()

    def _has_died(self) -> bool:
        return self._process is None or self._process.poll() is not None

    def _port_was_taken(self) -> bool:
        return "address already in use" in self._log().lower()

    def _log(self) -> str:
        if not self.log_path.exists():
            return ""
        return self.log_path.read_text(errors="replace")[-4000:]


class LocalPostgres(LocalServer):
    """A PostgreSQL cluster on loopback with a password, without a Unix socket.

    ``settings`` go to the server as ``-c name=value``, over the defaults of initdb.
    """

    name = "postgres"
    stop_signal = signal.SIGINT  # "fast": disconnect clients, checkpoint, exit
    crash_signal = signal.SIGQUIT  # "immediate": no checkpoint, recovery at next start

    def __init__(self, settings: Mapping[str, str] | None = None) -> None:
        binaries = find_postgres()
        if binaries is None:
            raise LocalServerError("; ".join(missing()))
        super().__init__()
        self._binaries = binaries
        self._settings = {"max_connections": "200", **(settings or {})}
        self._password = secrets.token_hex(16)

    @property
    def admin_dsn(self) -> str:
        """Superuser on the maintenance database."""
        return f"postgresql://postgres:{self._password}@{LOOPBACK}:{self.port}/postgres"

    @property
    def _data(self) -> Path:
        return self.folder / "data"

    def start(self) -> None:
        if not self._data.exists():
            self._create_cluster()
        super().start()

    def standby(self) -> LocalPostgres:
        """Another server that follows this one, not started yet."""
        return _LocalStandby(self)

    def _create_cluster(self) -> None:
        password_file = self.folder / "password"
        password_file.write_text(self._password)
        if self._user is not None:
            os.chown(password_file, self._user.pw_uid, self._user.pw_gid)
        self._run(initdb_command(self._binaries, self._data, password_file))
        password_file.unlink()

    def _command(self) -> list[str]:
        settings = {
            **self._settings,
            "listen_addresses": LOOPBACK,
            "port": str(self.port),
        }
        return postgres_command(self._binaries, self._data, settings)

    def _answers(self) -> bool:
        return probes.postgres_answers(self.admin_dsn)


class _LocalStandby(LocalPostgres):
    """Begins as a copy of its primary, with its accounts, and follows it."""

    def __init__(self, primary: LocalPostgres) -> None:
        super().__init__(primary._settings)
        self._password = primary._password
        self._primary_dsn = primary.admin_dsn

    def _create_cluster(self) -> None:
        # The folder may hold links to some of the programs only.
        programs = (self._binaries / "postgres").resolve().parent
        command = [str(programs / "pg_basebackup"), f"--pgdata={self._data}"]
        command += [f"--dbname={self._primary_dsn}", "--write-recovery-conf"]
        self._run([*command, "--wal-method=stream", "--checkpoint=fast", "--no-sync"])


class LocalRedis(LocalServer):
    """A Redis on loopback that keeps nothing on disk."""

    name = "redis"

    def __init__(self) -> None:
        binary = find_redis()
        if binary is None:
            raise LocalServerError("; ".join(missing()))
        super().__init__()
        self._binary = binary

    @property
    def url(self) -> str:
        return f"redis://{LOOPBACK}:{self.port}/0"

    def _command(self) -> list[str]:
        return redis_command(
            self._binary, host=LOOPBACK, port=self.port, folder=self.folder
        )

    def _answers(self) -> bool:
        return probes.redis_answers(LOOPBACK, self.port)

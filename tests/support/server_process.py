"""``dwserver`` as a real process: started, watched, ended by its own pid.

No pytest here: benchmarks run their servers with this class as well. The methods block
the calling thread; from a coroutine use ``asyncio.to_thread``.
"""

from __future__ import annotations

import http.client
import signal
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Self

from dwserver.runtime import lifeline
from tests.support.environment import clean_environment
from tests.support.ports import LOOPBACK, free_port
from tests.support.source_tree import ROOT
from tests.support.waiting import wait_until

READY_SECONDS = 90.0
STOP_SECONDS = 30.0
PROBE_SECONDS = 5.0


class ServerDied(AssertionError):
    """The process ended before it was ready; the text carries the end of its log."""


class ServerProcess:
    """One server node.

    ``command``: words after ``dwserver``; host and port are added. ``env``: the whole
    configuration of the node, nothing of the caller's shell comes in. ``source``: the
    folder with the package that it runs. Standard output and error are appended to
    ``log_path``, so a restarted node keeps one log.
    """

    def __init__(
        self,
        env: Mapping[str, str],
        *,
        log_path: Path,
        command: Sequence[str] = ("serve",),
        port: int | None = None,
        source: Path = ROOT,
    ) -> None:
        self.port = port or free_port()
        self.log_path = log_path
        self._env = clean_environment(env)
        self._source = source
        self._command = [sys.executable, "-m", "dwserver", *command]
        self._command += ["--host", LOOPBACK, "--port", str(self.port)]
        self._process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Self:
        self.start()
        try:
            self.wait_ready()
        except BaseException:
            self.kill()
            raise
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.kill()

    @property
    def base_url(self) -> str:
        return f"http://{LOOPBACK}:{self.port}"

    @property
    def pid(self) -> int:
        return self._running().pid

    @property
    def is_running(self) -> bool:
        return self._process is not None and self._process.poll() is None

    def start(self) -> None:
        """Start the process, without waiting for it; also again after its end."""
        assert not self.is_running, f"pid {self.pid} still runs"
        with self.log_path.open("ab") as log:
            self._process = subprocess.Popen(
                self._command,
                cwd=self._source,
                env=self._env,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        lifeline.tie(self._process.pid, signals=(signal.SIGKILL,))

    def wait_ready(self, deadline_seconds: float = READY_SECONDS) -> None:
        """Wait for 200 of ``/api/ready``; ServerDied when the process ends instead."""
        wait_until(
            self._is_ready_or_dead,
            deadline_seconds=deadline_seconds,
            what=f"readiness of {self.base_url} (log: {self.log_path})",
        )
        if not self.is_running:
            code = self._running().returncode
            raise ServerDied(f"dwserver ended with {code}:\n{self.log_text()[-4000:]}")

    def terminate(self, deadline_seconds: float = STOP_SECONDS) -> int:
        """SIGTERM, then the exit code; AssertionError when it does not end in time."""
        process = self._running()
        process.send_signal(signal.SIGTERM)
        try:
            return process.wait(timeout=deadline_seconds)
        except subprocess.TimeoutExpired:
            raise AssertionError(
                f"pid {process.pid} still runs {deadline_seconds} s after SIGTERM:\n"
                f"{self.log_text()[-4000:]}"
            ) from None

    def kill(self) -> None:
        """SIGKILL and reap; nothing when it has ended already."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()

    def suspend(self) -> None:
        """Stop its clock, as a long pause of the machine would (SIGSTOP)."""
        self._running().send_signal(signal.SIGSTOP)

    def resume(self) -> None:
        self._running().send_signal(signal.SIGCONT)

    def log_text(self) -> str:
        if not self.log_path.exists():
            return ""
        return self.log_path.read_text(errors="replace")

    def ready_status(self) -> int | None:
        """HTTP status of ``/api/ready``; None when nobody answers."""
        connection = http.client.HTTPConnection(
            LOOPBACK, self.port, timeout=PROBE_SECONDS
        )
        try:
            connection.request("GET", "/api/ready")
            return connection.getresponse().status
        except (OSError, http.client.HTTPException):
            return None
        finally:
            connection.close()

    def _is_ready_or_dead(self) -> bool:
        return not self.is_running or self.ready_status() == http.HTTPStatus.OK

    def _running(self) -> subprocess.Popen[bytes]:
        assert self._process is not None, "the server was never started"
        return self._process

"""The servers that are measured, as processes of their own."""

from __future__ import annotations

import http.client
import secrets
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path

from tests.support.environment import clean_environment
from tests.support.ports import LOOPBACK, free_port
from tests.support.source_tree import ROOT
from tests.support.waiting import wait_until

READY_SECONDS = 30.0
STOP_SECONDS = 30.0
BOOTSTRAP_SECONDS = 60.0
LOG_TAIL = 4_000

# The name of a server that is one process.
SERVER = "server"


class Target(StrEnum):
    """What is measured. ``FLOOR``: ``benchmarks/floor`` with real commits."""

    FLOOR = "floor"
    DWSERVER = "dwserver"


class ServerFailed(Exception):
    """A server did not start, or ended by itself; the text has the end of its log."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RunningServer:
    """``urls``: where clients may come. ``pids``: its process trees by name, whatever
    is metered as part of it. ``counters``: what else is read when a window opens and
    closes."""

    urls: Sequence[str]
    token: str
    pids: Mapping[str, int]
    counters: Mapping[str, Callable[[], int]] = field(default_factory=dict)

    @property
    def url(self) -> str:
        return self.urls[0]


@contextmanager
def running_server(
    target: Target,
    database_url: str,
    *,
    log_path: Path,
    interpreter: Sequence[str] = (sys.executable,),
) -> Iterator[RunningServer]:
    """Yields when ``/api/ready`` answers 200; ends it by SIGTERM, else by SIGKILL.

    ``interpreter``: the words before ``-m``, where a profiler can put itself.
    """
    port = free_port()
    token = secrets.token_hex(16)
    if target is Target.FLOOR:
        words = ["-m", "benchmarks.floor.server", "--dsn", database_url]
        words += ["--port", str(port)]
        env = clean_environment()
    else:
        words = ["-m", "dwserver", "serve", "--host", LOOPBACK, "--port", str(port)]
        env = clean_environment(_configuration(database_url, token))
    with log_path.open("wb") as log:
        process = subprocess.Popen(
            [*interpreter, *words],
            cwd=ROOT,
            env=env,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    try:
        _wait_ready(process, port, log_path)
        yield RunningServer(
            urls=[f"http://{LOOPBACK}:{port}"], token=token, pids={SERVER: process.pid}
        )
        _check_alive(process, log_path)
    finally:
        _stop(process)


def bootstrap(database_url: str) -> None:
    """Make dwserver's tables in an empty database."""
    result = subprocess.run(
        [sys.executable, "-m", "dwserver", "bootstrap"],
        cwd=ROOT,
        env=clean_environment(_configuration(database_url, "")),
        capture_output=True,
        text=True,
        timeout=BOOTSTRAP_SECONDS,
        check=False,
    )
    if result.returncode != 0:
        raise ServerFailed(f"bootstrap failed:\n{result.stdout}{result.stderr}")


def _configuration(database_url: str, token: str) -> dict[str, str]:
    """Everything else is at its default."""
    given = {"DW_DATABASE_URL": database_url, "DW_AUTH_DRIVER": "token"}
    return {**given, "DW_AUTH_TOKEN": token} if token else given


def _wait_ready(process: subprocess.Popen[bytes], port: int, log_path: Path) -> None:
    try:
        wait_until(
            lambda: process.poll() is not None or _is_ready(port),
            deadline_seconds=READY_SECONDS,
            what="readiness of the server",
        )
    except AssertionError as error:
        raise ServerFailed(f"{error}\n{_log_tail(log_path)}") from None
    _check_alive(process, log_path)


def _is_ready(port: int) -> bool:
    connection = http.client.HTTPConnection(LOOPBACK, port, timeout=5.0)
    try:
        connection.request("GET", "/api/ready")
        return connection.getresponse().status == http.HTTPStatus.OK
    except (OSError, http.client.HTTPException):
        return False
    finally:
        connection.close()


def _check_alive(process: subprocess.Popen[bytes], log_path: Path) -> None:
    code = process.poll()
    if code is not None:
        raise ServerFailed(f"the server ended with {code}:\n{_log_tail(log_path)}")


def _log_tail(log_path: Path) -> str:
    return log_path.read_text(errors="replace")[-LOG_TAIL:]


def _stop(process: subprocess.Popen[bytes]) -> None:
    process.terminate()
    try:
        process.wait(timeout=STOP_SECONDS)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()

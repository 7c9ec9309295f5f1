"""Does a server answer? Asked from outside, the way a client would."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Coroutine
from concurrent.futures import ThreadPoolExecutor
from typing import Any, TypeVar

import asyncpg

T = TypeVar("T")

PROBE_SECONDS = 2.0


def run_in_thread(work: Coroutine[Any, Any, T]) -> T:
    """Run a coroutine to its end on an event loop of its own, whoever calls."""
    with ThreadPoolExecutor(max_workers=1) as pool:
        return pool.submit(asyncio.run, work).result()


async def _connect_once(dsn: str) -> None:
    connection = await asyncpg.connect(dsn, timeout=PROBE_SECONDS)
    await connection.close(timeout=PROBE_SECONDS)


def postgres_answers(dsn: str) -> bool:
    """Whether a client can log in."""
    try:
        run_in_thread(_connect_once(dsn))
    except (OSError, asyncpg.PostgresError, asyncpg.InterfaceError):
        return False
    return True


def redis_answers(host: str, port: int) -> bool:
    """Whether a PING is answered."""
    try:
        with socket.create_connection((host, port), timeout=PROBE_SECONDS) as link:
            link.sendall(b"PING\r\n")
            return link.recv(16).startswith(b"+PONG")
    except OSError:
        return False

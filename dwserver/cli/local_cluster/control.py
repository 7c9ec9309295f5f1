"""Asking a running local cluster for something: a line of words to its Unix socket, and
lines of text back until it is done."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Final

from dwserver.cli.local_cluster.errors import LocalClusterError

SOCKET: Final = "control.sock"
DONE: Final = "done"
FAILED: Final = "failed"

Tell = Callable[[str], None]
Handle = Callable[[list[str], Tell], Awaitable[bool]]
"""Carries out the words, tells what happens, returns whether it worked."""


class NoCluster(LocalClusterError):
    """No cluster listens there; the text says where."""


class ClusterRuns(LocalClusterError):
    """Another cluster has this state folder; the text says which."""


@contextlib.asynccontextmanager
async def control_socket(folder: Path, handle: Handle) -> AsyncIterator[None]:
    """Serve the folder's socket while the context is open. Raises
    :class:`ClusterRuns`."""
    path = _socket_path(folder)
    if await _is_served(path):
        raise ClusterRuns(f"a cluster runs already with the state folder {folder}")
    _remove(path)

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        words = (await reader.readline()).decode().split()
        if words:
            worked = await handle(
                words, lambda text: writer.write(f"{text}\n".encode())
            )
            writer.write(f"{DONE if worked else FAILED}\n".encode())
        with contextlib.suppress(ConnectionError):
            await writer.drain()
        writer.close()

    server = await asyncio.start_unix_server(serve, path)
    try:
        yield
    finally:
        server.close()
        _remove(path)


async def ask(folder: Path, *words: str, tell: Tell) -> bool:
    """Have the cluster carry out the words; whether that worked. Raises
    :class:`NoCluster`."""
    try:
        reader, writer = await asyncio.open_unix_connection(folder / SOCKET)
    except OSError:
        raise NoCluster(f"no cluster runs with the state folder {folder}") from None
    writer.write(" ".join(words).encode() + b"\n")
    last = FAILED
    try:
        while line := (await reader.readline()).decode().rstrip("\n"):
            last = line
            if line not in (DONE, FAILED):
                tell(line)
    finally:
        writer.close()
    return last == DONE


def _socket_path(folder: Path) -> Path:
    """Only we may look into the folder: whoever reaches the socket commands us."""
    folder.mkdir(parents=True, exist_ok=True)
    folder.chmod(0o700)
    return folder / SOCKET


def _remove(path: Path) -> None:
    path.unlink(missing_ok=True)


async def _is_served(path: Path) -> bool:
    try:
        _, writer = await asyncio.open_unix_connection(path)
    except OSError:
        return False
    writer.close()
    return True

"""Blobs as files below a directory."""

from __future__ import annotations

import asyncio
import errno
import os
import stat
from collections.abc import Callable
from pathlib import Path
from typing import Final, TypeVar
from urllib.parse import unquote, urlsplit

from dwserver.blobs.api import BlobError, BlobMissing, BlobUnavailable, ForeignUri
from dwserver.runtime.whole_files import write_whole

Result = TypeVar("Result")

_DIRECTORY_MODE: Final = 0o700
# A path that a client made up may also be too long, or lead through a file.
_NO_SUCH_FILE: Final = frozenset(
    {errno.ENOENT, errno.ENOTDIR, errno.ELOOP, errno.ENAMETOOLONG}
)


class LocalBlobs:
    """``root`` is absolute and needs not exist yet. A call that takes longer than
    ``timeout_seconds`` is given up; a blob then appears whole or not at all."""

    def __init__(self, root: Path, *, timeout_seconds: float) -> None:
        self._root = root
        self._timeout_seconds = timeout_seconds

    def uri_of(self, key: str) -> str:
        return (self._root / key).as_uri()

    async def put(self, key: str, data: bytes) -> None:
        await self._run(lambda: _write(self._root / key, data))

    async def get(self, uri: str, *, size: int) -> bytes:
        return await self._run(lambda: _read(self._path_of(uri), size))

    async def delete(self, uri: str) -> None:
        await self._run(lambda: self._path_of(uri).unlink(missing_ok=True))

    async def _run(self, work: Callable[[], Result]) -> Result:
        try:
            async with asyncio.timeout(self._timeout_seconds):
                return await asyncio.to_thread(work)
        except BlobError:
            raise
        except TimeoutError:
            raise BlobUnavailable("the file system took too long") from None
        except OSError as error:
            raise BlobUnavailable(
                f"the file system refused: {error.strerror or type(error).__name__}"
            ) from error

    def _path_of(self, uri: str) -> Path:
        """The file behind a URI, links followed, if it lies below the root."""
        try:
            parts = urlsplit(uri)
            path = unquote(parts.path, errors="strict")
        except ValueError:
            raise ForeignUri("the URI cannot be read") from None
        is_local = parts.scheme == "file" and parts.netloc in ("", "localhost")
        is_plain = not (parts.query or parts.fragment or "\0" in path)
        if not (is_local and is_plain and path.startswith("/")):
            raise ForeignUri("the URI is not of a local file")
        found, root = Path(os.path.realpath(path)), Path(os.path.realpath(self._root))
        if root not in found.parents:
            raise ForeignUri("the URI lies outside the storage directory")
        return found


def _write(path: Path, data: bytes) -> None:
    """Durable before the name exists. Equal keys mean equal bytes: a file of the right
    size is left alone."""
    path.parent.mkdir(parents=True, exist_ok=True, mode=_DIRECTORY_MODE)
    if path.is_file() and path.stat().st_size == len(data):
        return
    write_whole(path, data)


def _read(path: Path, size: int) -> bytes:
    try:
        # A pipe or a device put there must not hold the thread.
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
    except OSError as error:
        if error.errno in _NO_SUCH_FILE:
            raise BlobMissing("there is no such file") from None
        raise
    try:
        status = os.fstat(descriptor)
        if not stat.S_ISREG(status.st_mode):
            raise BlobMissing("it is not a file")
        if status.st_size != size:
            raise BlobMissing("the file is of another size")
        return _read_all(descriptor, size)
    finally:
        os.close(descriptor)


def _read_all(descriptor: int, size: int) -> bytes:
    with os.fdopen(descriptor, "rb", closefd=False) as file:
        return file.read(size)

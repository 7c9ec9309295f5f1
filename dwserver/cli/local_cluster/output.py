"""Lines of several processes in one terminal, each with the name of its process."""

from __future__ import annotations

import asyncio
import zlib
from collections.abc import Callable
from contextlib import suppress
from typing import Final

import click

COLOURS: Final = ("cyan", "green", "yellow", "blue", "magenta")
NAME_WIDTH: Final = 26
CHUNK_BYTES: Final = 65_536


class Terminal:
    """Standard output; colours only for people (``has_colours`` None: ask it)."""

    def __init__(self, *, has_colours: bool | None = None) -> None:
        self._has_colours = has_colours

    def line(self, source: str, text: str) -> None:
        """One line of a process."""
        # Nodes of a class share a colour.
        role = source.rpartition("-")[0] or source
        colour = COLOURS[zlib.crc32(role.encode()) % len(COLOURS)]
        prefix = click.style(f"{source:<{NAME_WIDTH}}|", fg=colour)
        self._write(f"{prefix} {text}")

    def say(self, text: str, *, is_bad: bool = False) -> None:
        """A line of the cluster itself."""
        shown = click.style(text, bold=True, fg="red" if is_bad else None)
        self._write(shown)

    def _write(self, text: str) -> None:
        # Who closes the terminal still wants everything ended in its order.
        with suppress(OSError):
            click.echo(text, color=self._has_colours)


async def pump(stream: asyncio.StreamReader, emit: Callable[[str], None]) -> None:
    """Hand over the lines of a stream until it ends, however long a line is: one
    without an end in sight is handed over in parts."""
    rest = b""
    while chunk := await stream.read(CHUNK_BYTES):
        *lines, rest = (rest + chunk).split(b"\n")
        for line in lines:
            emit(line.decode(errors="replace").rstrip("\r"))
        if len(rest) > CHUNK_BYTES:
            emit(rest.decode(errors="replace"))
            rest = b""
    if rest:
        emit(rest.decode(errors="replace"))

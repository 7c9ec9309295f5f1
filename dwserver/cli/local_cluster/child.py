"""One process of a local cluster."""

from __future__ import annotations

import asyncio
import contextlib
import pwd
import signal
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from dwserver.cli.local_cluster.output import Terminal, pump
from dwserver.runtime import lifeline


@dataclass(frozen=True, slots=True, kw_only=True)
class Program:
    """What is run. ``folder``: where, deleted when its starter is gone; None is the
    current one. ``user``: as whom, when not as ourselves."""

    name: str
    command: Sequence[str]
    environment: Mapping[str, str]
    stop_signal: signal.Signals = signal.SIGTERM
    folder: Path | None = None
    user: pwd.struct_passwd | None = None


class Child:
    """A program that is started, watched and ended. It does not outlive us, however
    we end. ``on_end`` is called with its exit status when it ends by itself.
    ``last_line``: what it said last, or ""."""

    def __init__(
        self, program: Program, terminal: Terminal, *, on_end: Callable[[int], None]
    ) -> None:
        self.program = program
        self._terminal = terminal
        self._on_end = on_end
        self._process: asyncio.subprocess.Process | None = None
        self._watching: asyncio.Task[None] | None = None
        self._is_stopping = False
        self.last_line = ""

    @property
    def is_running(self) -> bool:
        return self._process is not None and self._process.returncode is None

    @property
    def pid(self) -> int | None:
        return self._process.pid if self._process and self.is_running else None

    async def start(self) -> None:
        """Run the program; nothing when it runs already."""
        if self.is_running:
            return
        self._is_stopping = False
        program, user = self.program, self.program.user
        self._process = await asyncio.create_subprocess_exec(
            *program.command,
            cwd=program.folder,
            env=dict(program.environment),
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
            start_new_session=True,  # Ctrl-C is for us: we end it in our order
            user=user.pw_uid if user else None,
            group=user.pw_gid if user else None,
            extra_groups=[] if user else None,
        )
        signals = (program.stop_signal, signal.SIGKILL)
        lifeline.tie(self._process.pid, signals=signals, folder=program.folder)
        self._watching = asyncio.create_task(self._watch(self._process))

    async def stop(self, deadline_seconds: float) -> None:
        """Ask it to end, and insist after the deadline."""
        if self._process is None or self._watching is None:
            return
        self._is_stopping = True
        self._send(self.program.stop_signal)
        done, _ = await asyncio.wait((self._watching,), timeout=deadline_seconds)
        if not done:
            self._terminal.say(f"{self.program.name} does not end, killed", is_bad=True)
            self.kill()
            await asyncio.wait((self._watching,))

    def kill(self) -> None:
        """End it at once."""
        self._is_stopping = True
        self._send(signal.SIGKILL)

    async def wait(self) -> int:
        """Its exit status, once it has ended."""
        assert self._process is not None
        assert self._watching is not None
        await asyncio.wait((self._watching,))
        return self._process.returncode or 0

    def _send(self, number: signal.Signals) -> None:
        if self._process is not None and self._process.returncode is None:
            with contextlib.suppress(ProcessLookupError):
                self._process.send_signal(number)

    async def _watch(self, process: asyncio.subprocess.Process) -> None:
        assert process.stdout is not None
        name = self.program.name

        def tell(line: str) -> None:
            self._terminal.line(name, line)
            self.last_line = line.strip() or self.last_line

        await pump(process.stdout, tell)
        status = await process.wait()
        if not self._is_stopping:
            self._on_end(status)

"""A lifeline: processes that end with the one that started them, even if it is killed.

The module is also the program at the other end. It holds the read end of a pipe whose
only write end is ours, so it hears of our end however that comes, and then ends what
has been tied and is still there. Linux only: elsewhere a killed run leaves its servers.
"""

from __future__ import annotations

import atexit
import contextlib
import json
import os
import select
import shutil
import signal
import subprocess
import sys
import threading
from collections.abc import Iterable, Sequence
from pathlib import Path

# How long a signal may take to end a process before the next one is sent.
PATIENCE_SECONDS = 10.0

_lock = threading.Lock()
_watcher: subprocess.Popen[bytes] | None = None


# --- our end --------------------------------------------------------------------------


def tie(
    pid: int, *, signals: Sequence[signal.Signals], folder: Path | None = None
) -> None:
    """Tie a child of ours to our life.

    When we are gone it gets ``signals``, one after the other until it has ended, and
    its folder is deleted.
    """
    if sys.platform != "linux":
        return
    message = {"pid": pid, "signals": signals, "folder": folder and str(folder)}
    line = json.dumps(message).encode() + b"\n"
    with _lock:
        pipe = _running_watcher().stdin
        assert pipe is not None
        pipe.write(line)
        pipe.flush()


def _running_watcher() -> subprocess.Popen[bytes]:
    global _watcher
    if _watcher is None:
        _watcher = subprocess.Popen(
            [sys.executable, "-I", __file__],
            cwd="/",
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,  # what ends our process group must not end it
        )
        atexit.register(_watcher.communicate)
    return _watcher


# --- its end --------------------------------------------------------------------------


class _Tied:
    """A process, held by a descriptor: its number may be given to another one."""

    def __init__(self, pid: int, signals: Sequence[int]) -> None:
        self._descriptor = os.pidfd_open(pid)
        self._signals = signals

    def has_ended(self, wait_seconds: float = 0.0) -> bool:
        return bool(select.select([self._descriptor], [], [], wait_seconds)[0])

    def end(self) -> None:
        for number in self._signals:
            with contextlib.suppress(ProcessLookupError):
                signal.pidfd_send_signal(self._descriptor, number)
            if self.has_ended(PATIENCE_SECONDS):
                return

    def let_go(self) -> None:
        os.close(self._descriptor)


def watch(lines: Iterable[bytes]) -> None:
    """Read what is tied until nobody can write any more; then end it, newest first."""
    tied: list[_Tied] = []
    folders: set[str] = set()
    for line in lines:
        for ended in [each for each in tied if each.has_ended()]:
            tied.remove(ended)
            ended.let_go()
        message = json.loads(line)
        if message["folder"]:
            folders.add(message["folder"])
        with contextlib.suppress(ProcessLookupError):
            tied.append(_Tied(message["pid"], message["signals"]))
    for each in reversed(tied):
        each.end()
    for folder in folders:
        shutil.rmtree(folder, ignore_errors=True)


if __name__ == "__main__":
    watch(sys.stdin.buffer)

"""Process signals: the first SIGTERM or SIGINT asks, the second one insists. So does
SIGHUP, when a terminal is closed, unless the process was started to outlive it."""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import Callable
from types import TracebackType
from typing import Self

SHUTDOWN_SIGNALS = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)
_EXIT_STATUS_OF_SIGNAL = 128


def exit_at_once(signal_number: int) -> None:
    """End the process without any clean-up, with the shell's status for signals."""
    os._exit(_EXIT_STATUS_OF_SIGNAL + signal_number)


class ShutdownSignals:
    """Handlers of the running loop while the context is open.

    `requested` is set by the first signal; the second calls `on_abort` with its
    number. The previous handlers return when the context closes.
    """

    def __init__(self, on_abort: Callable[[int], None] = exit_at_once) -> None:
        self.requested = asyncio.Event()
        self._on_abort = on_abort
        self._previous: dict[signal.Signals, object] = {}

    def __enter__(self) -> Self:
        loop = asyncio.get_running_loop()
        for number in SHUTDOWN_SIGNALS:
            previous = signal.getsignal(number)
            if number is signal.SIGHUP and previous is signal.SIG_IGN:
                continue  # nohup
            self._previous[number] = previous
            loop.add_signal_handler(number, self._receive, number)
        return self

    def __exit__(
        self,
        exception_type: type[BaseException] | None,
        exception: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        loop = asyncio.get_running_loop()
        for number, previous in self._previous.items():
            loop.remove_signal_handler(number)
            if callable(previous) or isinstance(previous, signal.Handlers):
                signal.signal(number, previous)
        self._previous.clear()

    def _receive(self, number: signal.Signals) -> None:
        # A terminal that is closed often says so twice.
        if self.requested.is_set() and number is not signal.SIGHUP:
            self._on_abort(number)
        self.requested.set()

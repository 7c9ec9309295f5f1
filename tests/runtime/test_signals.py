"""Signals: the first asks for a shutdown, the second aborts."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
from collections.abc import Iterator

import pytest

from dwserver.runtime.signals import ShutdownSignals

CHILD = """
import asyncio
from dwserver.runtime.signals import ShutdownSignals

async def main():
    with ShutdownSignals() as signals:
        print("ready", flush=True)
        await signals.requested.wait()
        print("draining", flush=True)
        await asyncio.Event().wait()

asyncio.run(main())
"""


@pytest.fixture(autouse=True)
def _started_from_a_terminal() -> Iterator[None]:
    """However the tests were started."""
    before = signal.signal(signal.SIGHUP, signal.SIG_DFL)
    yield
    signal.signal(signal.SIGHUP, before)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP])
async def test_first_signal_requests_the_shutdown(number: signal.Signals) -> None:
    aborted: list[int] = []
    with ShutdownSignals(aborted.append) as signals:
        os.kill(os.getpid(), number)
        await asyncio.wait_for(signals.requested.wait(), 10)
    assert aborted == []


async def test_second_signal_aborts_with_its_number() -> None:
    aborted: asyncio.Queue[int] = asyncio.Queue()
    with ShutdownSignals(aborted.put_nowait) as signals:
        os.kill(os.getpid(), signal.SIGTERM)
        await asyncio.wait_for(signals.requested.wait(), 10)
        os.kill(os.getpid(), signal.SIGINT)
        assert await asyncio.wait_for(aborted.get(), 10) == signal.SIGINT


async def test_a_terminal_that_is_closed_does_not_insist() -> None:
    aborted: asyncio.Queue[int] = asyncio.Queue()
    with ShutdownSignals(aborted.put_nowait) as signals:
        for number in (signal.SIGHUP, signal.SIGHUP, signal.SIGTERM):
            os.kill(os.getpid(), number)
            await asyncio.wait_for(signals.requested.wait(), 10)
        assert await asyncio.wait_for(aborted.get(), 10) == signal.SIGTERM
    assert aborted.empty()


async def test_a_process_that_is_to_outlive_its_terminal_does() -> None:
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    with ShutdownSignals() as signals:
        os.kill(os.getpid(), signal.SIGHUP)
        assert signal.getsignal(signal.SIGHUP) is signal.SIG_IGN
        assert not signals.requested.is_set()


async def test_handlers_from_before_return_when_the_context_closes() -> None:
    before = signal.getsignal(signal.SIGINT)
    with ShutdownSignals():
        assert signal.getsignal(signal.SIGINT) is not before
    assert signal.getsignal(signal.SIGINT) is before


def test_process_that_does_not_drain_ends_at_the_second_signal() -> None:
    with subprocess.Popen(
        [sys.executable, "-c", CHILD], stdout=subprocess.PIPE, text=True
    ) as child:
        assert child.stdout is not None
        assert child.stdout.readline() == "ready\n"
        child.send_signal(signal.SIGTERM)
        assert child.stdout.readline() == "draining\n"
        child.send_signal(signal.SIGTERM)
        assert child.wait(timeout=20) == 128 + signal.SIGTERM

"""Files by which client, workflow code and activities of one run tell each other.

A mark belongs to a job; the id of the started workflow names it.
"""

from __future__ import annotations

import asyncio
import itertools
import os
import time
from pathlib import Path

FOLDER = "SDK_TEST_MARKS"
HELD = "held"
RELEASED = "released"
GIVE_UP_SECONDS = 30.0
POLL_SECONDS = 0.02


def path(folder: str | Path, job: str, mark: str) -> Path:
    return Path(folder) / f"{job}.{mark}"


def _path(job: str, mark: str) -> Path:
    return path(os.environ[FOLDER], job, mark)


def make(job: str, mark: str) -> None:
    _path(job, mark).touch()


def number(job: str, mark: str) -> int:
    """How often this was called for the mark, this call included."""
    for count in itertools.count(1):
        try:
            _path(job, f"{mark}-{count}").touch(exist_ok=False)
        except FileExistsError:
            continue
        return count
    raise AssertionError


def hold(job: str) -> None:
    """Make ``HELD``, then block the thread until ``RELEASED`` is there."""
    make(job, HELD)
    give_up_at = time.monotonic() + GIVE_UP_SECONDS
    while not _path(job, RELEASED).exists():
        if time.monotonic() > give_up_at:
            raise TimeoutError(f"nobody released {job}")
        time.sleep(POLL_SECONDS)


async def until(job: str, mark: str) -> None:
    give_up_at = time.monotonic() + GIVE_UP_SECONDS
    while not _path(job, mark).exists():
        if time.monotonic() > give_up_at:
            raise TimeoutError(f"no mark {mark} of {job}")
        await asyncio.sleep(POLL_SECONDS)

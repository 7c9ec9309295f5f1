"""Where dwserver spends its time under W1: py-spy when it is installed, else cProfile.

py-spy samples from outside and costs almost nothing; cProfile makes small functions
look dearer than they are.
"""

from __future__ import annotations

import asyncio
import io
import pstats
import shutil
import subprocess
import sys
from collections import Counter
from collections.abc import Iterable, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path

from benchmarks.campaign import Campaign
from benchmarks.measure import Point, Windows, measure
from benchmarks.private_postgres import PrivatePostgres
from benchmarks.result import OUT
from benchmarks.servers import SERVER, RunningServer, Target, running_server
from benchmarks.workloads import W1

CONCURRENCY = 64
FUNCTIONS = 60
SAMPLES_PER_SECOND = 200
FINISH_SECONDS = 10.0


def find_py_spy() -> str | None:
    """Beside the interpreter, as in a virtual environment, or in PATH."""
    beside = Path(sys.executable).parent / "py-spy"
    return str(beside) if beside.exists() else shutil.which("py-spy")


async def profile_w1(
    campaign: Campaign, postgres: PrivatePostgres, *, windows: Windows
) -> Path:
    """The file with the top functions."""
    OUT.mkdir(exist_ok=True)
    py_spy = find_py_spy()
    with campaign.fresh_database(Target.DWSERVER) as database_url:
        load = _Load(postgres, database_url, windows)
        text = await (_by_py_spy(load, py_spy) if py_spy else _by_cprofile(load))
    found = OUT / "w1-profile.txt"
    found.write_text(text, encoding="utf-8")
    return found


@dataclass(frozen=True, slots=True)
class _Load:
    postgres: PrivatePostgres
    database_url: str
    windows: Windows

    def server(
        self, interpreter: Sequence[str]
    ) -> AbstractContextManager[RunningServer]:
        return running_server(
            Target.DWSERVER,
            self.database_url,
            log_path=OUT / "profiled-server.log",
            interpreter=interpreter,
        )

    async def run(self, server: RunningServer) -> Point:
        return await measure(
            Target.DWSERVER,
            W1,
            concurrency=CONCURRENCY,
            windows=self.windows,
            server=server,
            postgres=self.postgres,
            database_url=self.database_url,
        )


async def _by_py_spy(load: _Load, py_spy: str) -> str:
    stacks = OUT / "w1.stacks"
    seconds = load.windows.warmup_seconds + load.windows.window_seconds
    with load.server([sys.executable]) as server:
        sampler = _sample(py_spy, server, seconds=seconds, stacks=stacks)
        try:
            point = await load.run(server)
            await asyncio.to_thread(sampler.wait, FINISH_SECONDS)
        finally:
            _stop(sampler)
    text = stacks.read_text(encoding="utf-8")
    return _title(point, "py-spy") + top_of_stacks(text.splitlines())


async def _by_cprofile(load: _Load) -> str:
    stats = OUT / "w1.pstats"
    interpreter = [sys.executable, "-m", "cProfile", "-o", str(stats)]
    with load.server(interpreter) as server:
        point = await load.run(server)
    out = io.StringIO()
    pstats.Stats(str(stats), stream=out).sort_stats("tottime").print_stats(FUNCTIONS)
    return _title(point, "cProfile") + out.getvalue()


def _sample(
    py_spy: str, server: RunningServer, *, seconds: float, stacks: Path
) -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        [
            py_spy,
            "record",
            "--pid",
            str(server.pids[SERVER]),
            "--duration",
            str(round(seconds)),
            "--rate",
            str(SAMPLES_PER_SECOND),
            "--function",
            "--format",
            "raw",
            "--output",
            str(stacks),
        ],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
    )


def _stop(sampler: subprocess.Popen[bytes]) -> None:
    if sampler.poll() is None:
        sampler.terminate()
        sampler.wait()


def _title(point: Point, profiler: str) -> str:
    rate = point.load.operations / point.seconds
    return f"W1, {CONCURRENCY} in flight, {rate:.0f} workflows/s under {profiler}\n\n"


def top_of_stacks(lines: Iterable[str]) -> str:
    """A table of folded stacks (``outer;inner samples``): own share and share with
    callees of each function, dearest own first."""
    own: Counter[str] = Counter()
    total: Counter[str] = Counter()
    samples = 0
    for line in lines:
        stack, _, count = line.rpartition(" ")
        frames = stack.split(";")
        samples += int(count)
        own[frames[-1]] += int(count)
        for frame in set(frames):
            total[frame] += int(count)
    rows = [
        f"{100 * own[name] / samples:6.1f} {100 * total[name] / samples:7.1f}  {name}"
        for name, _ in own.most_common(FUNCTIONS)
    ]
    return "\n".join([" own %  total %  function", *rows]) + "\n"

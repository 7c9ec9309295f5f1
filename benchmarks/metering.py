"""CPU and memory of process trees and of the whole machine, from ``/proc`` (Linux)."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

TICKS_PER_SECOND = os.sysconf("SC_CLK_TCK")
PROC = Path("/proc")


class MeteringError(Exception):
    """A metered process is gone or may not be read."""


@dataclass(frozen=True, slots=True)
class ProcessTimes:
    """In clock ticks; ``reaped_ticks`` are those of ended children."""

    parent: int
    own_ticks: int
    reaped_ticks: int


def parse_process_times(stat: str) -> ProcessTimes:
    """Of the text of ``/proc/<pid>/stat``; the name in it may hold ``)`` and blanks."""
    fields = stat[stat.rindex(")") + 2 :].split()
    user, system, reaped_user, reaped_system = map(int, fields[11:15])
    return ProcessTimes(int(fields[1]), user + system, reaped_user + reaped_system)


def parse_machine_ticks(stat: str) -> tuple[int, int]:
    """(busy, all) of the first line of ``/proc/stat``, over all cores.

    Guest time is part of user time already.
    """
    user, nice, system, idle, io_wait, *rest = map(
        int, stat.splitlines()[0].split()[1:]
    )
    others = sum(rest[:3])
    busy = user + nice + system + others
    return busy, busy + idle + io_wait


def tree_ticks(root: int, processes: Mapping[int, ProcessTimes]) -> int:
    """Ticks of a process and its descendants, also of those that have ended.

    A living child's ticks are not yet among the reaped ones of its parent, so that
    own and reaped ticks of every living process count everything once.
    """
    return sum(
        processes[pid].own_ticks + processes[pid].reaped_ticks
        for pid in tree(root, processes)
    )


def tree(root: int, processes: Mapping[int, ProcessTimes]) -> list[int]:
    """``root`` and its living descendants."""
    if root not in processes:
        raise MeteringError(f"process {root} is gone")
    found = [root]
    for pid in found:
        found += [child for child, times in processes.items() if times.parent == pid]
    return found


def read_processes() -> dict[int, ProcessTimes]:
    """All processes of the machine; one that ends meanwhile is left out."""
    processes = {}
    for folder in PROC.iterdir():
        if folder.name.isdigit():
            try:
                stat = (folder / "stat").read_text()
            except (FileNotFoundError, ProcessLookupError):
                continue
            processes[int(folder.name)] = parse_process_times(stat)
    return processes


def pss_bytes(root: int) -> int:
    """Proportional set size of a process tree."""
    total = 0
    for pid in tree(root, read_processes()):
        try:
            text = (PROC / str(pid) / "smaps_rollup").read_text()
        except (FileNotFoundError, ProcessLookupError):
            continue
        except PermissionError as error:
            raise MeteringError(f"memory of process {pid}: {error}") from error
        total += parse_pss_bytes(text)
    return total


def parse_pss_bytes(smaps_rollup: str) -> int:
    for line in smaps_rollup.splitlines():
        if line.startswith("Pss:"):
            return int(line.split()[1]) * 1024
    return 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Reading:
    """Ticks so far: of each named tree, of the busy machine, and all there were."""

    trees: Mapping[str, int]
    busy: int
    total: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Usage:
    """Between two readings. ``busy_cores`` of the whole machine; ``foreign_cores`` is
    what of them the metered trees did not use: how quiet the machine was."""

    cpu_seconds: Mapping[str, float]
    busy_cores: float
    foreign_cores: float


def read(roots: Mapping[str, int]) -> Reading:
    """``roots``: name → process id."""
    busy, total = parse_machine_ticks((PROC / "stat").read_text())
    processes = read_processes()
    trees = {name: tree_ticks(pid, processes) for name, pid in roots.items()}
    return Reading(trees=trees, busy=busy, total=total)


def usage_between(earlier: Reading, later: Reading, *, cores: int) -> Usage:
    ticks = {name: later.trees[name] - earlier.trees[name] for name in later.trees}
    total = max(1, later.total - earlier.total)
    busy = later.busy - earlier.busy
    foreign = max(0, busy - sum(ticks.values()))
    return Usage(
        cpu_seconds={name: count / TICKS_PER_SECOND for name, count in ticks.items()},
        busy_cores=busy / total * cores,
        foreign_cores=foreign / total * cores,
    )

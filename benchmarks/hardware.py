"""What a result was measured on, without names or places."""

from __future__ import annotations

import os
import platform
import time
from dataclasses import dataclass
from pathlib import Path

from benchmarks import metering

UNKNOWN = "unknown"
IDLE_SECONDS = 3.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Hardware:
    """``busy_cores_before``: how busy the machine was before anything was loaded."""

    cpu: str
    cores: int
    memory_gb: float
    kernel: str
    filesystem: str
    python: str
    busy_cores_before: float

    def lines(self) -> list[str]:
        return [
            f"CPU: {self.cpu}, {self.cores} cores",
            f"memory: {self.memory_gb:.0f} GB",
            f"kernel: {self.kernel}; database files on {self.filesystem}",
            f"Python: {self.python}",
            f"busy cores before the run: {self.busy_cores_before:.2f}",
        ]


def describe_hardware(
    data_folder: Path, *, idle_seconds: float = IDLE_SECONDS
) -> Hardware:
    """Blocks for ``idle_seconds`` to see how quiet the machine is."""
    cores = os.cpu_count() or 1
    earlier = metering.read({})
    time.sleep(idle_seconds)
    usage = metering.usage_between(earlier, metering.read({}), cores=cores)
    pages = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    return Hardware(
        cpu=cpu_model(Path("/proc/cpuinfo").read_text()),
        cores=cores,
        memory_gb=pages / 1e9,
        kernel=f"{platform.system()} {platform.release()}",
        filesystem=filesystem_of(data_folder, Path("/proc/self/mounts").read_text()),
        python=f"{platform.python_implementation()} {platform.python_version()}",
        busy_cores_before=usage.busy_cores,
    )


def cpu_model(cpuinfo: str) -> str:
    """Of the text of ``/proc/cpuinfo``; ARM machines name no model there."""
    for line in cpuinfo.splitlines():
        name, _, value = line.partition(":")
        if name.strip() == "model name":
            return value.strip()
    return platform.machine() or UNKNOWN


def filesystem_of(folder: Path, mounts: str) -> str:
    """Type of the mount that holds an absolute folder, of ``/proc/self/mounts``."""
    kinds = {}
    for line in mounts.splitlines():
        _, mounted_at, kind, *_ = line.split()
        kinds[Path(mounted_at)] = kind
    for place in (folder, *folder.parents):
        if place in kinds:
            return kinds[place]
    return UNKNOWN

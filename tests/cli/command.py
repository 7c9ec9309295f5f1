"""``dwserver`` commands that end by themselves, as real processes."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass

from tests.support.environment import clean_environment
from tests.support.source_tree import ROOT

END_SECONDS = 90


@dataclass(frozen=True, slots=True)
class Ended:
    status: int
    output: str
    errors: str

    @property
    def complaint(self) -> str:
        """The one line that an operator reads; AssertionError for anything else."""
        lines = [
            line for line in self.errors.splitlines() if line.startswith("dwserver: ")
        ]
        assert self.status == 1, self
        assert len(lines) == 1, self
        assert "Traceback" not in self.errors + self.output, self
        return lines[0]


def start(*words: str, env: Mapping[str, str] | None = None) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-m", "dwserver", *words],
        cwd=ROOT,
        env=clean_environment(env),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def end(process: subprocess.Popen[str]) -> Ended:
    """Wait for it; one that does not end by itself is killed and an error."""
    try:
        output, errors = process.communicate(timeout=END_SECONDS)
    except subprocess.TimeoutExpired:
        process.kill()
        output, errors = process.communicate()
        raise AssertionError(f"it did not end:\n{output}{errors}") from None
    return Ended(process.returncode, output, errors)


def run(*words: str, env: Mapping[str, str] | None = None) -> Ended:
    return end(start(*words, env=env))

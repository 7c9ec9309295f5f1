"""The checks of the tools, so that the one test command says everything."""

from __future__ import annotations

import subprocess
import sys

import pytest

from tests.support import source_tree

CHECKS = {
    "lint": ("ruff", "check", "."),
    "format": ("ruff", "format", "--check", "."),
    "types": ("mypy",),
}


@pytest.mark.timeout(300)
@pytest.mark.parametrize("name", CHECKS)
def test_sources_pass(name: str) -> None:
    result = subprocess.run(
        (sys.executable, "-m", *CHECKS[name]),
        cwd=source_tree.ROOT,
        capture_output=True,
        text=True,
        timeout=290,
        check=False,
    )
    assert result.returncode == 0, result.stdout + result.stderr

"""Every module can be the first one imported, and the import contracts hold."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support import source_tree

# Runs inside one bare interpreter that has loaded no module of ours. Each module is
# imported in a forked child, so that none finds its imports already made by another.
IMPORT_EACH_ALONE = """
import importlib, os, sys, traceback

failed = []
for name in sys.argv[1:]:
    pid = os.fork()
    if pid == 0:
        try:
            importlib.import_module(name)
        except BaseException:
            traceback.print_exc()
            sys.stderr.flush()
            os._exit(1)
        os._exit(0)
    if os.waitpid(pid, 0)[1] != 0:
        failed.append(name)
sys.exit(f"failed alone: {failed}" if failed else 0)
"""
# Loaded before the forks: third parties only, to pay for them once.
PRELOADED = ("aiohttp.web", "asyncpg", "click", "fastavro", "orjson", "redis.asyncio")


def run(*command: str, **env: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        command,
        cwd=source_tree.ROOT,
        env={**os.environ, "NO_COLOR": "1", **env},
        capture_output=True,
        text=True,
        timeout=170,
        check=False,
    )


@pytest.mark.timeout(180)
def test_every_module_imports_alone(tmp_path: Path) -> None:
    modules = [
        source_tree.module_name(path)
        for path in source_tree.python_files(source_tree.PACKAGE)
        if path.name != "__main__.py"
    ]
    assert "dwserver.engine" in modules
    preload = f"import {', '.join(PRELOADED)}\n"
    program = preload + IMPORT_EACH_ALONE
    # Compiled once for all children, also where the shell keeps Python from that.
    compiled = {"PYTHONDONTWRITEBYTECODE": "", "PYTHONPYCACHEPREFIX": str(tmp_path)}
    result = run(sys.executable, "-W", "error", "-c", program, *modules, **compiled)
    assert result.returncode == 0, result.stderr


@pytest.mark.timeout(180)
def test_import_contracts_hold() -> None:
    result = run(
        sys.executable,
        "-c",
        "import sys; from importlinter.cli import lint_imports_command;"
        " sys.exit(lint_imports_command())",
    )
    assert result.returncode == 0, result.stdout + result.stderr

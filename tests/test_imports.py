"""Every module can be the first one imported, and the import contracts hold."""

from __future__ import annotations

import ast
import os
import subprocess
import sys
from collections.abc import Iterator
from graphlib import CycleError, TopologicalSorter
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
        timeout=590,
        check=False,
    )


def paths_of_modules() -> dict[str, Path]:
    return {
        source_tree.module_name(path): path
        for path in source_tree.python_files(source_tree.PACKAGE)
        if path.name != "__main__.py"
    }


def executed(body: list[ast.stmt]) -> Iterator[ast.stmt]:
    """The statements that run as a module is imported, but for type checkers' own."""
    for node in body:
        yield node
        if isinstance(node, ast.If):
            is_for_types = "TYPE_CHECKING" in ast.unparse(node.test)
            yield from executed([] if is_for_types else node.body)
            yield from executed(node.orelse)
        elif isinstance(node, ast.Try | ast.With):
            yield from executed(node.body)


def imported_names(path: Path, modules: dict[str, Path]) -> Iterator[str]:
    """The modules that the file names; ``from package import module`` names one."""
    for node in executed(source_tree.parse(path).body):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module and node.level == 0:
            for alias in node.names:
                inner = f"{node.module}.{alias.name}"
                yield inner if inner in modules else node.module


def needed(name: str, path: Path, modules: dict[str, Path]) -> set[str]:
    """The modules that must have been executed before ``name`` can be, the packages
    around what it imports among them, but for those that it is in itself."""
    found: set[str] = set()
    for imported in imported_names(path, modules):
        parts = imported.split(".")
        for size in range(1, len(parts) + 1):
            part = ".".join(parts[:size])
            is_around = f"{name}.".startswith(f"{part}.") and part != imported
            if part in modules and not is_around:
                found.add(part)
    return found - {name}


def test_imports_make_no_circle() -> None:
    """So that every module can be the first one imported."""
    modules = paths_of_modules()
    assert "dwserver.engine" in modules
    graph = {name: needed(name, path, modules) for name, path in modules.items()}
    assert "dwserver.engine.context" in graph["dwserver.engine.schedules.changes"]
    try:
        TopologicalSorter(graph).prepare()
    except CycleError as error:
        pytest.fail(f"modules that need one another: {error.args[1]}")


@pytest.mark.full
@pytest.mark.timeout(600)
def test_every_module_imports_alone(tmp_path: Path) -> None:
    modules = paths_of_modules()
    preload = f"import {', '.join(PRELOADED)}\n"
    program = preload + IMPORT_EACH_ALONE
    # Compiled once for all children, also where the shell keeps Python from that.
    compiled = {"PYTHONDONTWRITEBYTECODE": "", "PYTHONPYCACHEPREFIX": str(tmp_path)}
    result = run(sys.executable, "-W", "error", "-c", program, *modules, **compiled)
    assert result.returncode == 0, result.stderr


@pytest.mark.timeout(600)
def test_import_contracts_hold() -> None:
    result = run(
        sys.executable,
        "-c",
        "import sys; from importlinter.cli import lint_imports_command;"
        " sys.exit(lint_imports_command())",
    )
    assert result.returncode == 0, result.stdout + result.stderr

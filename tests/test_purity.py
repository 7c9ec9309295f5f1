"""The engine touches nothing, and the environment is read in one place.

import-linter sees packages; these tests also see the standard library and names.
"""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

from tests.support import source_tree

PURE_STDLIB = frozenset(
    {
        "__future__",
        "abc",
        "base64",
        "bisect",
        "calendar",
        "collections",
        "copy",
        "dataclasses",
        "datetime",
        "decimal",
        "enum",
        "fractions",
        "functools",
        "hashlib",
        "heapq",
        "hmac",
        "itertools",
        "json",
        "math",
        "operator",
        "re",
        "string",
        "types",
        "typing",
        "zoneinfo",
    }
)
CLOCK_READS = frozenset({"now", "utcnow", "today"})
ENVIRONMENT_NAMES = frozenset({"environ", "environb", "getenv", "getenvb", "putenv"})


def engine_impurities(path: Path, tree: ast.Module) -> list[str]:
    """Imports outside the engine and the pure standard library; reads of the clock."""
    found = [
        f"{source_tree.position(path, node)} imports {name}"
        for node, name in source_tree.imported_modules(tree)
        if name.split(".")[0] not in PURE_STDLIB
        and not f"{name}.".startswith("dwserver.engine.")
    ]
    for node in ast.walk(tree):
        match node:
            case ast.Call(func=ast.Attribute(attr=attr)) if attr in CLOCK_READS:
                found.append(f"{source_tree.position(path, node)} reads the clock")
            case ast.Call(func=ast.Name(id="open" | "print" | "input" as name)):
                found.append(f"{source_tree.position(path, node)} calls {name}()")
            case ast.AsyncFunctionDef() | ast.Await():
                found.append(f"{source_tree.position(path, node)} is asynchronous")
    return found


def environment_reads(path: Path, tree: ast.Module) -> list[str]:
    """Uses of ``os.environ`` and its relatives, however they are imported."""
    found = []
    for node in ast.walk(tree):
        match node:
            case ast.Attribute(value=ast.Name(id="os"), attr=attr):
                names = {attr}
            case ast.ImportFrom(module="os", names=aliases):
                names = {alias.name for alias in aliases}
            case _:
                continue
        if names & ENVIRONMENT_NAMES:
            found.append(source_tree.position(path, node))
    return found


@pytest.mark.parametrize(
    ("code", "is_pure"),
    [
        ("from dwserver.engine.model import Run", True),
        ("from datetime import UTC, datetime", True),
        ("from dwserver.engineering import x", False),
        ("from dwserver.protocol import reasons", False),
        ("import os.path", False),
        ("def f():\n    import random", False),
        ("stamp = datetime.now(UTC)", False),
        ("async def f(): ...", False),
        ("open('file')", False),
    ],
)
def test_engine_impurities_judge_a_line(code: str, is_pure: bool) -> None:
    found = engine_impurities(source_tree.PACKAGE / "x.py", ast.parse(code))
    assert (not found) is is_pure


@pytest.mark.parametrize(
    ("code", "is_read"),
    [
        ("os.environ['A']", True),
        ("os.getenv('A')", True),
        ("from os import environ as e", True),
        ("os.fspath(p)", False),
    ],
)
def test_environment_reads_judge_a_line(code: str, is_read: bool) -> None:
    found = environment_reads(source_tree.PACKAGE / "x.py", ast.parse(code))
    assert bool(found) is is_read


def test_engine_is_pure() -> None:
    files = source_tree.python_files(source_tree.PACKAGE / "engine")
    assert files
    found = [
        line
        for path in files
        for line in engine_impurities(path, source_tree.parse(path))
    ]
    assert not found, "\n".join(found)


def test_environment_is_read_only_in_config() -> None:
    config = source_tree.PACKAGE / "config"
    found = [
        line
        for path in source_tree.python_files(source_tree.PACKAGE)
        if not path.is_relative_to(config)
        for line in environment_reads(path, source_tree.parse(path))
    ]
    assert not found, "\n".join(found)

"""Nothing grows into a god object: limits of files, functions and signatures."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path
from typing import TypeAlias

from tests.support import source_tree

MAX_FILE_LINES = 800
MAX_FUNCTION_LINES = 80
MAX_ARGUMENTS = 8
MAX_POSITIONAL_ARGUMENTS = 3
# Methods whose arguments a base class in a library names.
OVERRIDING = frozenset({"handle_error"})

CODE_FOLDERS = [
    source_tree.ROOT / name for name in ("dwserver", "tests", "examples", "benchmarks")
]

Function: TypeAlias = ast.FunctionDef | ast.AsyncFunctionDef


def functions(tree: ast.Module) -> Iterator[Function]:
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            yield node


def arguments(function: Function) -> tuple[int, int]:
    """(all, positional) named arguments without ``self`` and ``cls``."""
    positional = [a.arg for a in [*function.args.posonlyargs, *function.args.args]]
    if positional and positional[0] in {"self", "cls"}:
        del positional[0]
    return len(positional) + len(function.args.kwonlyargs), len(positional)


def is_of_command_line(function: Function) -> bool:
    """Its arguments are the options of a command: nobody calls it in Python."""
    return any(
        ast.unparse(each).startswith("click.") for each in function.decorator_list
    )


def function_excesses(path: Path, function: Function) -> Iterator[str]:
    where = f"{source_tree.position(path, function)} {function.name}"
    lines = (function.end_lineno or function.lineno) - function.lineno + 1
    total, positional = arguments(function)
    if lines > MAX_FUNCTION_LINES:
        yield f"{where}: {lines} lines"
    if total > MAX_ARGUMENTS and not is_of_command_line(function):
        yield f"{where}: {total} arguments"
    is_ours = not function.name.startswith("_") and function.name not in OVERRIDING
    if positional > MAX_POSITIONAL_ARGUMENTS and is_ours:
        yield f"{where}: {positional} positional arguments"


def test_files_stay_short() -> None:
    found = {
        str(path.relative_to(source_tree.ROOT)): lines
        for path in source_tree.python_files(*CODE_FOLDERS)
        if (lines := len(path.read_text(encoding="utf-8").splitlines()))
        > MAX_FILE_LINES
    }
    assert found == {}


def test_functions_stay_short_with_few_arguments() -> None:
    found = [
        line
        for path in source_tree.python_files(source_tree.PACKAGE)
        for function in functions(source_tree.parse(path))
        for line in function_excesses(path, function)
    ]
    assert not found, "\n".join(found)

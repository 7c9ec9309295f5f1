"""Everything that can grow is in ``docs/bounded-growth.md``, with its bound."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

from dwserver.config.contract import BY_NAME
from dwserver.http.system import metrics as system_metrics
from dwserver.runtime.metric_table import METRICS
from dwserver.store.migrations import LEDGER, load_migrations
from tests.support.source_tree import PACKAGE, ROOT, module_name, parse, python_files

PAGE = (ROOT / "docs" / "bounded-growth.md").read_text(encoding="utf-8")
COORDINATION = PACKAGE / "coordination"
QUERY_KEYS = COORDINATION / "lua" / "query_common.lua"
ROW = re.compile(r"^\| `([^`|]+)` \|(.*?)\|?$", re.MULTILINE)
PREFIX = re.compile(r"^server:[a-z-]+:")

# Values without a life of their own, and what ends with the command or the boot.
PASSING = {"engine", "protocol", "config", "cli"}
COLLECTIONS = {
    *("dict", "list", "set", "deque", "OrderedDict", "defaultdict", "Counter"),
    *("WeakValueDictionary", "WeakSet", "Queue", "SimpleQueue", "PriorityQueue"),
    # Our own that hold others'.
    *("FreshCache", "Backlog"),
}
CACHES = {"cache", "lru_cache"}


def section(title: str) -> str:
    _, found, rest = PAGE.partition(f"\n## {title}\n")
    assert found, title
    return rest.partition("\n## ")[0]


def rows(title: str) -> list[tuple[str, list[str]]]:
    """First cell and the others of every row of the tables in a section."""
    return [
        (name, [cell.strip() for cell in rest.split("|")])
        for name, rest in ROW.findall(section(title))
    ]


# what the code has -------------------------------------------------------------------
def key_prefixes() -> set[str]:
    return {
        found[0]
        for path in python_files(COORDINATION)
        for node in ast.walk(parse(path))
        if isinstance(node, ast.Constant) and isinstance(node.value, str)
        if (found := PREFIX.match(node.value))
    }


def parts_of_query_keys() -> set[str]:
    text = QUERY_KEYS.read_text(encoding="utf-8")
    return set(re.findall(r"prefix \.\. '(\w+):'", text))


def tables() -> set[str]:
    migrations = load_migrations("dwserver.store.postgres")
    return {table for each in migrations for table in each.tables} | {LEDGER}


def collections() -> set[str]:
    """``module.Class.attribute`` and ``module.function``."""
    return {
        found
        for path in python_files(PACKAGE)
        if path.relative_to(PACKAGE).parts[0] not in PASSING
        for found in _collections_of(path)
    }


def _collections_of(path: Path) -> Iterator[str]:
    module = module_name(path).removeprefix("dwserver.")
    for node in ast.walk(parse(path)):
        if isinstance(node, ast.ClassDef):
            for attribute in _attributes(node):
                yield f"{module}.{node.name}.{attribute}"
        elif isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and (
            CACHES & {_name(each) for each in node.decorator_list}
        ):
            yield f"{module}.{node.name}"


def _attributes(holder: ast.ClassDef) -> Iterator[str]:
    """Those that some method sets to an empty collection."""
    for node in ast.walk(holder):
        if not isinstance(node, ast.Assign | ast.AnnAssign) or node.value is None:
            continue
        targets = node.targets if isinstance(node, ast.Assign) else [node.target]
        for target in targets:
            if (
                isinstance(target, ast.Attribute)
                and isinstance(target.value, ast.Name)
                and target.value.id == "self"
                and _is_collection(node.value)
            ):
                yield target.attr


def _is_collection(value: ast.expr) -> bool:
    if isinstance(value, ast.Dict):
        return not value.keys
    if isinstance(value, ast.List | ast.Set):
        return not value.elts
    return isinstance(value, ast.Call) and _name(value) in COLLECTIONS


def _name(node: ast.expr) -> str:
    match node:
        case ast.Call(func=inner) | ast.Subscript(value=inner):
            return _name(inner)
        case ast.Attribute(attr=name) | ast.Name(id=name):
            return name
        case _:
            return ""


# what the page has -------------------------------------------------------------------
def test_families_of_redis_keys_are_listed() -> None:
    named = {name for name, _ in rows("Redis")}
    assert len(key_prefixes()) == 5
    assert len(parts_of_query_keys()) == 4
    assert named == key_prefixes() | parts_of_query_keys()


def test_tables_are_listed() -> None:
    named = [name for name, _ in rows("Database")]
    assert len(named) == len(set(named))
    assert set(named) == tables()


def test_metrics_and_the_bounds_of_their_labels_are_listed() -> None:
    told = [(name, *cells[:2]) for name, cells in rows("Metrics")]
    expected = [
        (metric.name, f"`{label.name}`", str(label.bound))
        for metric in METRICS
        for label in metric.labels
    ]
    expected += [(metric.name, "–", "1") for metric in METRICS if not metric.labels]
    own = {system_metrics.FAILURES, system_metrics.DRIFT}
    assert {name for name, *_ in told if name in own} == own
    assert sorted(row for row in told if row[0] not in own) == sorted(expected)


def test_collections_in_memory_are_listed() -> None:
    named = [name for name, _ in rows("Memory")]
    assert len(named) == len(set(named))
    found = collections()
    assert len(found) > 50
    assert found - set(named) == set(), "not in the page"
    assert set(named) - found == set(), "not in the code"


def test_settings_in_the_page_exist() -> None:
    named = set(re.findall(r"`(DW_\w+?)(?:_\*)?`", PAGE))
    known = set(BY_NAME)
    assert named
    assert [name for name in named if not any(k.startswith(name) for k in known)] == []


def test_every_row_says_what_its_bound_is() -> None:
    for title in ("Redis", "Database", "Metrics"):
        for name, cells in rows(title):
            assert all(cells), name

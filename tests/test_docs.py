"""The documents say what is so: their paths and links exist, their tables are whole."""

from __future__ import annotations

import re
from importlib import import_module
from pathlib import Path

import pytest

from dwserver.cli.main import SUBCOMMANDS
from dwserver.engine.words import (
    ActivityStatus,
    AttemptStatus,
    RunStatus,
    TaskStatus,
    TimerStatus,
)
from dwserver.runtime.metric_table import METRICS
from dwserver.store.migrations import load_migrations
from dwserver.topology.shapes import BUNDLES, Shape
from tests.support.source_tree import ROOT, python_files

ARCHITECTURE = ROOT / "docs" / "architecture"
PAGES = {page.name: page for page in sorted(ARCHITECTURE.glob("*.md"))}
DEPLOYMENT = ROOT / "docs" / "deployment.md"
DOCUMENTS = [
    ROOT / "README.md",
    ROOT / "CONTRIBUTING.md",
    DEPLOYMENT,
    ROOT / "docs" / "bounded-growth.md",
    *PAGES.values(),
]

LINK_TARGET = re.compile(r"\]\(([^)#:\s]+)\)")
CODE_PATH = re.compile(
    r"`((?:dwserver|tests|scripts|benchmarks|examples|docs|deploy)/[\w./-]*)`"
)
SUBCOMMAND = re.compile(r"^(?:\S*/)?dwserver ([a-z-]+)", re.MULTILINE)
FENCED_BASH = re.compile(r"^```bash\n(.+?)\n```", re.MULTILINE | re.DOTALL)
METRIC_ROW = re.compile(r"^\| `(dw_\w+)` \| (\w+) \| ([\w, ]*) ?\|", re.MULTILINE)
RULE_ROW = re.compile(
    r"^\| (§[\d.]+[^|]*) \| [^|]+ \| `([\w.]+)` \| `([\w/.]+)` `(\w+)` \|$",
    re.MULTILINE,
)
INDEX = re.compile(r"^create (?:unique )?index (\w+)", re.MULTILINE)
FIRST_CELL = re.compile(r"^\| (`.+?) \|", re.MULTILINE)
NAME = re.compile(r"`(\w+)`")
LOGGED = re.compile(r"_log\.(?:debug|info|warning|error|critical)\(\s*\"(\w+)\"")


def text_of(name: str) -> str:
    return PAGES[name].read_text(encoding="utf-8")


def relative(path: Path) -> str:
    return str(path.relative_to(ROOT))


def test_pages_are_all_there_and_linked_from_the_overview() -> None:
    linked = set(LINK_TARGET.findall(text_of("overview.md")))
    assert PAGES.keys() - linked == {"overview.md"}
    assert PAGES.keys() >= {"engine.md", "store.md", "matching.md", "http.md"}


@pytest.mark.parametrize("document", DOCUMENTS, ids=relative)
def test_code_paths_of_a_document_exist(document: Path) -> None:
    paths = CODE_PATH.findall(document.read_text(encoding="utf-8"))
    assert len(paths) >= 3
    assert [path for path in paths if not (ROOT / path).exists()] == []


@pytest.mark.parametrize("document", DOCUMENTS, ids=relative)
def test_links_of_a_document_lead_somewhere(document: Path) -> None:
    targets = LINK_TARGET.findall(document.read_text(encoding="utf-8"))
    assert [t for t in targets if not (document.parent / t).exists()] == []


def test_readme_links_settings_and_architecture() -> None:
    targets = LINK_TARGET.findall((ROOT / "README.md").read_text(encoding="utf-8"))
    assert {"docs/configuration.md", "docs/architecture/overview.md"} <= set(targets)


def test_readme_names_subcommands_that_exist() -> None:
    blocks = FENCED_BASH.findall((ROOT / "README.md").read_text(encoding="utf-8"))
    named = {word for block in blocks for word in SUBCOMMAND.findall(block)}
    assert {"dev", "bootstrap", "serve"} <= named <= SUBCOMMANDS.keys()


def test_deployment_names_subcommands_and_classes_that_exist() -> None:
    text = DEPLOYMENT.read_text(encoding="utf-8")
    named = {
        w for block in FENCED_BASH.findall(text) for w in SUBCOMMAND.findall(block)
    }
    assert {"cluster"} <= named <= SUBCOMMANDS.keys()
    described = {name for name in FIRST_CELL.findall(text) if name.endswith("_node`")}
    assert described == {f"`{each}`" for each in BUNDLES[Shape.SPLIT_CONTROL_EXECUTION]}


def test_operations_describes_every_subcommand() -> None:
    text = text_of("operations.md")
    assert [name for name in SUBCOMMANDS if f"`dwserver {name}`" not in text] == []


def test_operations_has_the_table_of_metrics() -> None:
    rows = [
        (name, kind, labels.strip())
        for name, kind, labels in METRIC_ROW.findall(text_of("operations.md"))
    ]
    assert rows == [
        (
            metric.name,
            metric.kind.value,
            ", ".join(label.name for label in metric.labels),
        )
        for metric in METRICS
    ]


def test_operations_names_every_event_that_is_logged() -> None:
    sources = python_files(ROOT / "dwserver")
    events = {e for f in sources for e in LOGGED.findall(f.read_text(encoding="utf-8"))}
    assert len(events) > 10
    text = text_of("operations.md")
    assert sorted(event for event in events if f"`{event}`" not in text) == []


def test_engine_names_every_state() -> None:
    words = {
        word.value
        for states in (
            RunStatus,
            TaskStatus,
            ActivityStatus,
            AttemptStatus,
            TimerStatus,
        )
        for word in states
    }
    text = text_of("engine.md")
    assert sorted(word for word in words if f"`{word}`" not in text) == []


def test_rules_of_replay_safety_have_a_function_and_a_test() -> None:
    rows = RULE_ROW.findall(text_of("engine.md"))
    sections = {section.split()[0] for section, _, _, _ in rows}
    assert sections >= {"§5.3", "§9.3", "§9.4", "§10"}
    for _, function, path, test in rows:
        module, _, name = function.rpartition(".")
        assert callable(getattr(import_module(module), name)), function
        text = (ROOT / path).read_text(encoding="utf-8")
        assert f"def {test}(" in text, test


def test_store_names_the_indexes_that_exist() -> None:
    migrations = load_migrations("dwserver.store.postgres")
    indexes = {name for m in migrations for name in INDEX.findall(m.text)}
    _, _, section = text_of("store.md").partition("\n## Indexes\n")
    section, _, _ = section.partition("\n## ")
    cells = FIRST_CELL.findall(section)
    in_table = {name for cell in cells for name in NAME.findall(cell)}
    assert in_table <= indexes
    assert indexes <= set(NAME.findall(section))

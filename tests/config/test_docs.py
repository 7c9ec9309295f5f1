"""The generated documents: current, complete, and true."""

from __future__ import annotations

from pathlib import Path

import pytest

from dwserver.config.contract import CONTRACT, INFRASTRUCTURE
from dwserver.config.docs import (
    DOCUMENT_PATH,
    EXAMPLE_PATH,
    render_document,
    render_example,
    write_files,
)
from dwserver.config.settings import load_settings

ROOT = Path(__file__).resolve().parents[2]


@pytest.mark.parametrize(
    ("path", "text"),
    [(DOCUMENT_PATH, render_document()), (EXAMPLE_PATH, render_example())],
    ids=["document", "example"],
)
def test_committed_file_is_what_the_table_generates(path: Path, text: str) -> None:
    assert (ROOT / path).read_text(encoding="utf-8") == text, (
        "run: python -m dwserver.config.docs"
    )


def test_write_files_creates_both_below_the_root(tmp_path: Path) -> None:
    write_files(tmp_path)
    assert (tmp_path / DOCUMENT_PATH).read_text(encoding="utf-8") == render_document()
    assert (tmp_path / EXAMPLE_PATH).read_text(encoding="utf-8") == render_example()


def test_document_has_one_row_per_name() -> None:
    rows = [line for line in render_document().splitlines() if line.startswith("| `")]
    named = [line.split("`")[1] for line in rows]
    assert sorted(named) == sorted(row.name for row in (*CONTRACT, *INFRASTRUCTURE))
    assert {line.count("|") for line in rows} == {3, 7}


def test_example_assignments_uncommented_are_the_defaults() -> None:
    assignments = dict(
        line.removeprefix("# ").split("=", 1)
        for line in render_example().splitlines()
        if line.startswith("# DW_") and "=" in line
    )
    assert assignments.keys() == {variable.name for variable in CONTRACT}
    assert load_settings(assignments) == load_settings({})


def test_example_sets_nothing_as_it_is() -> None:
    lines = render_example().splitlines()
    assert [line for line in lines if line and not line.startswith("#")] == []

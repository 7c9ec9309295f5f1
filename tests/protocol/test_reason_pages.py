"""The pages of the reasons: current, complete, and about things that exist."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from dwserver.config.contract import CONTRACT
from dwserver.http.routes import api_document
from dwserver.protocol.reason_guide import GUIDES, Guide
from dwserver.protocol.reason_pages import FOLDER, INDEX, pages, write_files
from dwserver.protocol.reasons import REASONS, Reason
from tests.support.source_tree import ROOT

PAGES = dict(pages())
SETTING = re.compile(r"`(DW_\w+)(?:=\w+)?`")
ROUTE = re.compile(r"`(GET|POST|PUT|DELETE) (/api/[\w/{}.-]+)`")


def test_every_reason_has_a_guide_and_a_page() -> None:
    assert GUIDES.keys() == set(Reason)
    assert PAGES.keys() == {INDEX, *(f"{reason}.md" for reason in Reason)}


def test_committed_pages_are_what_the_tables_generate() -> None:
    committed = {
        page.name: page.read_text(encoding="utf-8")
        for page in (ROOT / FOLDER).glob("*.md")
    }
    assert committed == PAGES, "run: python -m dwserver.protocol.reason_pages"


def test_pages_of_reasons_that_are_gone_go(tmp_path: Path) -> None:
    folder = tmp_path / FOLDER
    folder.mkdir(parents=True)
    (folder / "gone.md").write_text("x")
    write_files(tmp_path)
    assert {page.name for page in folder.iterdir()} == PAGES.keys()


@pytest.mark.parametrize("reason", Reason)
def test_a_page_tells_status_cause_and_remedy(reason: Reason) -> None:
    text, guide, facts = PAGES[f"{reason}.md"], GUIDES[reason], REASONS[reason]
    assert text.startswith(f"# {reason}\n")
    for expected in (guide.cause, guide.remedy, facts.meaning):
        assert expected in text
    for status in (*facts.control, *facts.worker):
        assert f"| {status} " in text or f", {status} " in text
    assert f"]({reason}.md)" in PAGES[INDEX]


@pytest.mark.parametrize("guide", GUIDES.values(), ids=GUIDES)
def test_a_guide_names_settings_and_routes_that_exist(guide: Guide) -> None:
    settings = {variable.name for variable in CONTRACT}
    paths = api_document()["paths"]
    for text in (guide.cause, guide.remedy):
        assert text.endswith(".")
        assert set(SETTING.findall(text)) <= settings
        for method, path in ROUTE.findall(text):
            assert method.lower() in paths[path]

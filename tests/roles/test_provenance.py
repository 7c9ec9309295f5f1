"""Where the build comes from is told when it is to be told, and known."""

from __future__ import annotations

from pathlib import Path

import pytest

from dwserver.config.settings import load_settings
from dwserver.roles.identity import server_facts

LINES = "  https://example.com/dwserver.git\n\n v1.2.3 \n0f3c\nbuilt by hand\n"
SHOWN = {
    "source": "https://example.com/dwserver.git",
    "ref": "v1.2.3",
    "commit": "0f3c",
}


def told(path: Path, *, is_exposed: bool = True) -> object:
    settings = load_settings(
        {
            "DW_EXPOSE_PACKAGE_PROVENANCE": "1" if is_exposed else "0",
            "DW_PACKAGE_PROVENANCE_PATH": str(path),
        }
    )
    return server_facts(settings).package_provenance


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / ".package-provenance"


def test_three_lines_of_the_file_are_told(path: Path) -> None:
    path.write_text(LINES, "utf-8")
    assert told(path) == SHOWN
    assert told(path, is_exposed=False) is None


@pytest.mark.parametrize("content", [b"", b"source\nref\n \n", b"\xff\n\xff\n\xff\n"])
def test_a_file_that_does_not_say_is_not_told(path: Path, content: bytes) -> None:
    path.write_bytes(content)
    assert told(path) is None


def test_a_file_that_is_missing_is_not_told(path: Path) -> None:
    assert told(path) is None
    assert told(path.parent) is None

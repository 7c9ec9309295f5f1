"""A setting that somebody may set is read by somebody, or its row says that it has no
effect."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

import dwserver
from dwserver.config.contract import CONTRACT

PACKAGE = Path(dwserver.__file__).parent
# Limits that are derived from several settings are put together there.
DERIVING = PACKAGE / "config/settings.py"


@pytest.fixture(scope="module")
def attributes_read() -> set[str]:
    """Names behind a dot in the code outside of the configuration."""
    files = [path for path in PACKAGE.rglob("*.py") if "config" not in path.parts]
    text = "\n".join(path.read_text("utf-8") for path in (*files, DERIVING))
    return set(re.findall(r"\.(\w+)", text))


def test_every_setting_is_read(attributes_read: set[str]) -> None:
    unread = {
        variable.name
        for variable in CONTRACT
        if variable.setting is not None
        and variable.setting.partition(".")[2] not in attributes_read
    }
    assert unread == set()


def test_what_has_no_effect_is_no_setting() -> None:
    ineffective = [variable for variable in CONTRACT if not variable.has_effect]
    assert [v.name for v in ineffective if v.setting is not None] == []

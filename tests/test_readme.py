"""What the README promises: the test command of CI, and paths that exist."""

from __future__ import annotations

import re

from tests.support.source_tree import ROOT

README = (ROOT / "README.md").read_text(encoding="utf-8")
FENCED_BASH = re.compile(r"^## (\w+)\n\n```bash\n(.+?)\n```", re.MULTILINE | re.DOTALL)
LINK_TARGET = re.compile(r"\]\(([^)#:]+)\)")
FOLDER_ROW = re.compile(r"^\| `([a-z]+/)`", re.MULTILINE)


def test_ci_runs_the_test_command_of_the_readme() -> None:
    command = dict(FENCED_BASH.findall(README))["Tests"]
    assert command in (ROOT / ".ci" / "run").read_text().splitlines()


def test_readme_commands_exist() -> None:
    commands = [block.split()[0] for _, block in FENCED_BASH.findall(README)]
    assert len(commands) >= 2
    for command in commands:
        assert (ROOT / command).stat().st_mode & 0o100, command


def test_readme_paths_exist() -> None:
    paths = LINK_TARGET.findall(README) + FOLDER_ROW.findall(README)
    assert len(paths) > 5
    assert [path for path in paths if not (ROOT / path).exists()] == []

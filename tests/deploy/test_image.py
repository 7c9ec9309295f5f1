"""The image: what its file does that can be done without Docker."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest

from dwserver.config.contract import BY_NAME
from tests.support.databases import sqlite_url_of
from tests.support.environment import clean_environment
from tests.support.ports import free_port
from tests.support.processes import StartServer
from tests.support.source_tree import ROOT

BUILD_SECONDS = 170


@pytest.fixture(scope="module")
def instructions() -> list[tuple[str, str]]:
    """Word and rest of each instruction, continued lines joined."""
    text = (ROOT / "Dockerfile").read_text().replace("\\\n", " ")
    lines = [line for line in text.splitlines() if line and line[0] != "#"]
    found = [line.strip().partition(" ") for line in lines]
    return [(word, rest.strip()) for word, _, rest in found]


def values(instructions: list[tuple[str, str]], word: str) -> list[str]:
    return [rest for each, rest in instructions if each == word]


def test_the_last_stage_runs_as_nobody_in_particular(
    instructions: list[tuple[str, str]],
) -> None:
    stages = values(instructions, "FROM")
    assert len(stages) == 2
    assert all(stage.startswith("python:3.12-slim") for stage in stages)
    (user,) = values(instructions, "USER")
    assert re.fullmatch(r"[1-9]\d*:[1-9]\d*", user)
    words = [word for word, _ in instructions]
    assert words.index("USER") > max(
        number for number, word in enumerate(words) if word in ("RUN", "COPY")
    )


def test_it_serves_on_the_port_that_it_exposes(
    instructions: list[tuple[str, str]],
) -> None:
    (environment,) = values(instructions, "ENV")
    pairs = dict(pair.split("=", 1) for pair in environment.split())
    ours = {name for name in pairs if name.startswith("DW_")}
    assert ours <= set(BY_NAME)
    assert pairs["DW_HTTP_HOST"] == "0.0.0.0"
    assert values(instructions, "EXPOSE") == [pairs["DW_HTTP_PORT"]]
    assert json.loads(values(instructions, "ENTRYPOINT")[0])[-1] == "dwserver"
    assert json.loads(values(instructions, "CMD")[0]) == ["serve"]


def test_what_it_copies_is_not_ignored(instructions: list[tuple[str, str]]) -> None:
    ignored = (ROOT / ".dockerignore").read_text().splitlines()
    kept = {line[1:] for line in ignored if line.startswith("!")}
    assert ignored[0] == "*"
    for copied in values(instructions, "COPY"):
        words = copied.split()
        if words[0].startswith("--from"):
            continue
        for source in words[:-1]:
            assert (ROOT / source).exists()
            assert source in kept


def test_its_health_check_tells_a_server_from_none(
    instructions: list[tuple[str, str]], start_server: StartServer, sqlite_url: str
) -> None:
    (check,) = values(instructions, "HEALTHCHECK")
    program, *arguments = json.loads(check[check.index("[") :])
    assert program == "python"

    def status(port: int) -> int:
        return subprocess.run(
            [sys.executable, *arguments],
            env=clean_environment({"DW_HTTP_PORT": str(port)}),
            stderr=subprocess.DEVNULL,
            check=False,
        ).returncode

    assert status(free_port()) != 0
    assert status(start_server(sqlite_url).port) == 0


@pytest.mark.full
@pytest.mark.timeout(2 * BUILD_SECONDS)
def test_what_it_installs_has_everything_to_serve(tmp_path: Path) -> None:
    """The package as the image installs it: its dependencies are those of the tests."""
    site = tmp_path / "site"
    run(sys.executable, "-m", "pip", "install", "--no-deps", "--target", site, ROOT)
    environment = {
        "PYTHONPATH": str(site),
        "DW_DATABASE_URL": sqlite_url_of(tmp_path / "dw.sqlite"),
    }
    where = "import dwserver; print(dwserver.__file__)"
    found = run(sys.executable, "-c", where, cwd=tmp_path, env=environment)
    assert found.strip() == str(site / "dwserver" / "__init__.py")
    command = (sys.executable, "-m", "dwserver")
    assert "the schema is up to date" in run(
        *command, "bootstrap", cwd=tmp_path, env=environment
    )
    shipped = data_files(site)
    assert {path.suffix for path in shipped} >= {".sql", ".lua", ".typed"}
    assert shipped == data_files(ROOT)
    assert "serve" in run(*command, "--help", cwd=tmp_path, env=environment)


def data_files(root: Path) -> set[Path]:
    """What the package needs beside its modules, such as migrations."""
    return {
        path.relative_to(root)
        for path in (root / "dwserver").rglob("*")
        if path.is_file() and path.suffix not in (".py", ".pyc")
    }


def run(
    *command: str | Path, cwd: Path = ROOT, env: dict[str, str] | None = None
) -> str:
    ended = subprocess.run(
        command,
        cwd=cwd,
        env=clean_environment(env),
        capture_output=True,
        text=True,
        timeout=BUILD_SECONDS,
        check=False,
    )
    assert ended.returncode == 0, ended.stdout + ended.stderr
    return ended.stdout

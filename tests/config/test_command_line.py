"""The `dwserver` group: fast, lazy, helpful."""

from __future__ import annotations

import subprocess
import sys

import click
import pytest
from click.testing import CliRunner

from dwserver import __version__
from dwserver.cli import main as command_line


def test_version_is_printed() -> None:
    result = CliRunner().invoke(command_line.main, ["--version"])
    assert result.output.strip().endswith(__version__)


def test_help_lists_every_subcommand_without_importing_one(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    imported: list[str] = []
    monkeypatch.setattr(command_line, "import_module", imported.append)
    result = CliRunner().invoke(command_line.main, ["--help"])
    assert result.exit_code == 0
    assert all(name in result.output for name in command_line.SUBCOMMANDS)
    assert imported == []


def test_unknown_subcommand_is_a_usage_error() -> None:
    result = CliRunner().invoke(command_line.main, ["levitate"])
    assert result.exit_code == 2
    assert "levitate" in result.output


def test_a_table_row_that_names_no_command_is_reported(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setitem(command_line.SUBCOMMANDS, "bad", ("os:sep", "Not a command."))
    context = click.Context(command_line.main)
    with pytest.raises(TypeError, match="os:sep"):
        command_line.main.get_command(context, "bad")


def test_start_of_a_light_command_loads_no_heavy_library() -> None:
    script = (
        "import sys; from dwserver.cli.main import main\n"
        "main(['env-audit'], standalone_mode=False)\n"
        "heavy = {'aiohttp', 'asyncpg', 'prometheus_client', 'redis', 'uvloop'}\n"
        "sys.exit(','.join(heavy & sys.modules.keys()) or 0)"
    )
    result = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=False
    )
    assert result.returncode == 0, result.stderr

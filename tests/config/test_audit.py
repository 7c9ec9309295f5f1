"""Audit of the environment: classes, findings, the command and its exit status."""

from __future__ import annotations

import json
from importlib import import_module

import pytest
from click.testing import CliRunner, Result

from dwserver.cli.main import main
from dwserver.config.audit import NameClass, audit_environment, classify
from dwserver.config.environment import process_environment

MIXED = {
    "DW_MODE": "service",
    "DW_WORKFLOW_TASK_TIMEOUT": "60",
    "WORKFLOW_TASK_TIMEOUT": "50",
    "WORKFLOW_SERVER_AUTH_TOKEN": "hunter2",
    "DW_ENV": "local",
    "DW_ADMIN_TOKN": "hunter2",
    "DB_HOST": "db",
    "DURABLE_WORKFLOW_SERVER_URL": "http://localhost",
}


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("DW_MODE", NameClass.KNOWN),
        ("DW_V2_MULTI_NODE", NameClass.KNOWN),
        ("DW_METRICS_PORT", NameClass.KNOWN),
        ("WORKFLOW_V2_MULTI_NODE", NameClass.LEGACY),
        ("ACTIVITY_TASK_TIMEOUT", NameClass.LEGACY),
        ("DW_SERVER_TAG", NameClass.UNKNOWN),
        ("DW_PERF_CONCURRENCY", NameClass.UNKNOWN),
        ("dw_mode", NameClass.IGNORED),
        ("REDIS_HOST", NameClass.FRAMEWORK),
        ("SERVER_PORT", NameClass.FRAMEWORK),
        ("PHP_CLI_SERVER_WORKERS", NameClass.FRAMEWORK),
        ("DURABLE_WORKFLOW_TOKEN", NameClass.IGNORED),
        ("WORKFLOW_SERVER_KEY", NameClass.IGNORED),
        ("PATH", NameClass.IGNORED),
    ],
)
def test_a_name_falls_into_one_class(name: str, expected: NameClass) -> None:
    assert classify(name) is expected


def test_report_sorts_names_and_counts_findings() -> None:
    report = audit_environment(MIXED)
    assert report.known == ("DW_MODE", "DW_WORKFLOW_TASK_TIMEOUT")
    assert report.legacy == ("WORKFLOW_SERVER_AUTH_TOKEN", "WORKFLOW_TASK_TIMEOUT")
    assert report.unknown == ("DW_ADMIN_TOKN", "DW_ENV")
    assert report.framework == ("DB_HOST",)
    assert report.ignored == ("DURABLE_WORKFLOW_SERVER_URL",)
    assert report.finding_count == 4


def test_messages_are_one_for_unknown_names_and_one_per_legacy_name() -> None:
    messages = audit_environment(MIXED).messages()
    assert [message.event for message in messages] == [
        "env_audit_unknown",
        "env_audit_legacy",
        "env_audit_legacy",
    ]
    assert messages[2].fields == {
        "name": "WORKFLOW_TASK_TIMEOUT",
        "replacement": "DW_WORKFLOW_TASK_TIMEOUT",
    }


def test_a_clean_environment_has_one_message_with_the_count() -> None:
    (message,) = audit_environment(["DW_MODE", "PATH"]).messages()
    assert (message.event, message.fields) == ("env_audit_clean", {"recognised": 1})


def run_command(
    monkeypatch: pytest.MonkeyPatch, environ: dict[str, str], *arguments: str
) -> Result:
    module = import_module("dwserver.cli.env_audit")
    monkeypatch.setattr(module, "process_environment", lambda: environ)
    return CliRunner().invoke(main, ["env-audit", *arguments])


@pytest.mark.parametrize(
    ("environ", "arguments", "status"),
    [
        (MIXED, (), 0),
        (MIXED, ("--strict",), 1),
        (MIXED, ("--strict", "--json"), 1),
        ({"DW_MODE": "service"}, ("--strict",), 0),
        ({"WORKFLOW_V2_MULTI_NODE": "1"}, ("--strict",), 1),
    ],
)
def test_command_fails_only_when_strict_and_there_are_findings(
    monkeypatch: pytest.MonkeyPatch,
    environ: dict[str, str],
    arguments: tuple[str, ...],
    status: int,
) -> None:
    assert run_command(monkeypatch, environ, *arguments).exit_code == status


@pytest.mark.parametrize("arguments", [(), ("--json",)])
def test_command_prints_names_and_no_values(
    monkeypatch: pytest.MonkeyPatch, arguments: tuple[str, ...]
) -> None:
    result = run_command(monkeypatch, MIXED, *arguments)
    assert "DW_ADMIN_TOKN" in result.output
    assert "hunter2" not in result.output


def test_command_prints_json_with_replacements(monkeypatch: pytest.MonkeyPatch) -> None:
    document = json.loads(run_command(monkeypatch, MIXED, "--json").output)
    assert document["unknown"] == ["DW_ADMIN_TOKN", "DW_ENV"]
    assert document["legacy"][0] == {
        "name": "WORKFLOW_SERVER_AUTH_TOKEN",
        "replacement": "DW_AUTH_TOKEN",
    }
    assert document["findings"] == 4


def test_process_environment_is_a_copy_of_what_is_set(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("DW_MODE", "embedded")
    environ = process_environment()
    monkeypatch.delenv("DW_MODE")
    assert environ["DW_MODE"] == "embedded"

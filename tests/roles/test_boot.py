"""What keeps a node from starting, and what is only said."""

from __future__ import annotations

from collections.abc import Mapping

import pytest
from structlog.testing import capture_logs

from dwserver.config.audit import audit_environment
from dwserver.config.errors import ConfigurationError
from dwserver.config.settings import load_settings
from dwserver.protocol.versions import DEFAULT_WORKER_VERSION, WorkerVersion
from dwserver.roles.boot import admit
from dwserver.roles.errors import BootError
from dwserver.roles.identity import advertised_version, node_facts

POSTGRES = "postgresql://dw:secret@localhost/dw"
SQLITE = "sqlite:///dw.sqlite"
SPLIT = {
    "DW_SERVER_TOPOLOGY_SHAPE": "split_control_execution",
    "DW_SERVER_PROCESS_CLASS": "control_plane_node",
}


def admitted(env: Mapping[str, str]) -> list[str]:
    """The events logged while the node is let in; BootError when it is not."""
    environ = {"DW_DATABASE_URL": SQLITE, **env}
    with capture_logs() as logs:
        admit(load_settings(environ), audit_environment(environ))
    return [entry["event"] for entry in logs if entry["log_level"] != "info"]


def test_a_plain_environment() -> None:
    assert admitted({}) == []


@pytest.mark.parametrize("version", ["1.0", "1.1", "1.20"])
def test_supported_versions(version: str) -> None:
    assert admitted({"DW_WORKER_PROTOCOL_VERSION": version}) == []


@pytest.mark.parametrize("version", ["0.9", "1.21", "2.0", "1"])
def test_unsupported_versions(version: str) -> None:
    refusals = (BootError, ConfigurationError)
    with pytest.raises(refusals, match=r"DW_WORKER_PROTOCOL_VERSION.*1\.0"):
        admitted({"DW_WORKER_PROTOCOL_VERSION": version})


def test_unknown_names_are_told() -> None:
    assert admitted({"DW_HTTP_PROT": "80"}) != []


def test_unknown_names_are_refused_by_a_strict_audit() -> None:
    with pytest.raises(BootError, match="DW_ENV_AUDIT_STRICT"):
        admitted({"DW_HTTP_PROT": "80", "DW_ENV_AUDIT_STRICT": "1"})
    assert admitted({"DW_ENV_AUDIT_STRICT": "1"}) == []


def test_the_split_shape_needs_a_database_for_several_processes() -> None:
    with pytest.raises(BootError, match="PostgreSQL"):
        admitted(SPLIT)
    admitted({**SPLIT, "DW_DATABASE_URL": POSTGRES})


@pytest.mark.parametrize(
    ("env", "version"),
    [
        ({}, DEFAULT_WORKER_VERSION),
        ({"DW_WORKER_PROTOCOL_VERSION": "1.1"}, WorkerVersion(1, 1)),
    ],
)
def test_the_version_that_is_advertised(
    env: Mapping[str, str], version: WorkerVersion
) -> None:
    settings = load_settings({"DW_DATABASE_URL": SQLITE, **env})
    assert advertised_version(settings) == version
    assert node_facts(settings).advertised_version == version


@pytest.mark.parametrize(("url", "driver"), [(SQLITE, "sqlite"), (POSTGRES, "pgsql")])
def test_the_database_that_is_told(url: str, driver: str) -> None:
    assert node_facts(load_settings({"DW_DATABASE_URL": url})).backend_driver == driver

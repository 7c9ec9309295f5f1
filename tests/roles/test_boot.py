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
from dwserver.topology.shapes import BUNDLES, ProcessClass, Shape

POSTGRES = "postgresql://dw:secret@localhost/dw"
SQLITE = "sqlite:///dw.sqlite"
SPLIT = {
    "DW_SERVER_TOPOLOGY_SHAPE": "split_control_execution",
    "DW_SERVER_PROCESS_CLASS": "control_plane_node",
}


SPLIT_CLASSES = [name.value for name in BUNDLES[Shape.SPLIT_CONTROL_EXECUTION]]


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


def split(process_class: str, **env: str) -> dict[str, str]:
    """A complete environment of a split node, changed by ``env``."""
    return {
        **SPLIT,
        "DW_SERVER_PROCESS_CLASS": process_class,
        "DW_DATABASE_URL": POSTGRES,
        "DW_SERVER_KEY": "k" * 32,
        "DW_REDIS_URL": "redis://localhost:6379",
        **env,
    }


@pytest.mark.parametrize("name", SPLIT_CLASSES)
def test_a_complete_split_node(name: str) -> None:
    assert admitted(split(name)) == []


@pytest.mark.parametrize("name", SPLIT_CLASSES)
def test_the_split_shape_needs_a_database_for_several_processes(name: str) -> None:
    with pytest.raises(BootError, match="PostgreSQL"):
        admitted(split(name, DW_DATABASE_URL=SQLITE))


@pytest.mark.parametrize("name", SPLIT_CLASSES)
def test_nodes_that_pass_requests_on_need_the_key(name: str) -> None:
    environ = split(name, DW_SERVER_KEY="")
    if name in ("scheduler_node", "execution_node"):
        admitted(environ)
        return
    with pytest.raises(BootError, match="DW_SERVER_KEY"):
        admitted(environ)


@pytest.mark.parametrize(
    ("mode", "events"), [("warn", ["coordination_not_shared"]), ("silent", [])]
)
@pytest.mark.parametrize("name", ["control_plane_node", "matching_node"])
def test_nodes_without_shared_coordination_are_told(
    name: str, mode: str, events: list[str]
) -> None:
    environ = split(name, DW_REDIS_URL="", DW_V2_CACHE_VALIDATION_MODE=mode)
    assert admitted(environ) == events
    assert admitted({**environ, "DW_V2_VALIDATE_CACHE_BACKEND": "0"}) == []


def test_shared_coordination_can_be_made_a_condition() -> None:
    environ = {"DW_V2_CACHE_VALIDATION_MODE": "fail"}
    assert admitted(environ) == []
    with pytest.raises(BootError, match="DW_REDIS_URL"):
        admitted({**environ, "DW_V2_MULTI_NODE": "1"})
    with pytest.raises(BootError, match="DW_REDIS_URL"):
        admitted(split("control_plane_node", DW_REDIS_URL="", **environ))


@pytest.mark.parametrize(
    ("env", "event"),
    [
        ({"DW_SERVER_TOPOLOGY_SHAPE": "spilt"}, "setting_replaced"),
        ({"DW_SERVER_PROCESS_CLASS": "ingress_node"}, "topology_word_replaced"),
    ],
)
def test_wrong_topology_words_are_told_and_replaced(
    env: Mapping[str, str], event: str
) -> None:
    assert admitted(env) == [event]
    identity = node_facts(load_settings({"DW_DATABASE_URL": SQLITE, **env})).identity
    assert identity.process_class is ProcessClass.SERVER_HTTP_NODE


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

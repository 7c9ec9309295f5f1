"""The Compose files: what they say is what the server understands."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
import yaml

from dwserver.topology.shapes import BUNDLES, ProcessClass, Role, Shape
from tests.deploy.settings import PROBES, SECRETS, selection_of, settings_of
from tests.deploy.structure import Either, MapOf, problems
from tests.support.source_tree import ROOT

FOLDER = ROOT / "deploy" / "compose"
FILES = {
    "small-cluster": Shape.STANDALONE_SERVER,
    "split-cluster": Shape.SPLIT_CONTROL_EXECUTION,
}

CONDITIONS = {"service_completed_successfully", "service_healthy", "service_started"}
SERVICE = {
    "image!": str,
    "build": {"context!": str},
    "command": [str],
    "env_file": str,
    "environment": MapOf(str),
    "read_only": bool,
    "tmpfs": [str],
    "cap_drop": [str],
    "security_opt": [str],
    "restart": str,
    "stop_grace_period": str,
    "depends_on": MapOf({"condition!": str}),
    "healthcheck": Either(
        (
            {"disable!": bool},
            {"test!": [str], "interval!": str, "timeout!": str, "retries!": int},
        )
    ),
    "ports": [str],
    "volumes": [str],
    "profiles": [str],
}
# A file may hold "x-" keys, for anchors.
FILE = {"name!": str, "services!": MapOf(SERVICE), "volumes!": MapOf(type(None))}

REFERENCE = re.compile(r"\$\{(\w+)(?::([-?])([^}]*))?\}")
SECONDS = re.compile(r"(\d+)s")


def load(name: str) -> dict[str, Any]:
    document: dict[str, Any] = yaml.safe_load((FOLDER / f"{name}.yml").read_text())
    return {key: value for key, value in document.items() if key[:2] != "x-"}


def env_file(name: str) -> dict[str, str]:
    lines = (FOLDER / name).read_text().splitlines()
    pairs = (line.partition("=") for line in lines if line and line[0] != "#")
    return {name: value for name, _, value in pairs}


def filled_in(text: str) -> str:
    """As Compose does, with an address where a secret goes."""
    return REFERENCE.sub(lambda found: found[3] if found[2] == "-" else "filled", text)


def environment_of(service: Mapping[str, Any]) -> dict[str, str]:
    own = {name: filled_in(text) for name, text in service["environment"].items()}
    return {**env_file(service["env_file"]), **own}


def nodes(document: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
    """Services that serve."""
    return {
        name: service
        for name, service in document["services"].items()
        if "DW_SERVER_PROCESS_CLASS" in service.get("environment", {})
    }


@pytest.fixture(params=FILES)
def name(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def document(name: str) -> dict[str, Any]:
    return load(name)


def test_structure_is_known(document: dict[str, Any]) -> None:
    assert list(problems(FILE, document)) == []
    services = document["services"]
    for service in services.values():
        for dependency, how in service.get("depends_on", {}).items():
            assert dependency in services
            assert how["condition"] in CONDITIONS
            if how["condition"] == "service_healthy":
                # Nodes have the image's own check.
                needed = services[dependency]
                assert "healthcheck" in needed or "build" in needed


def test_every_class_of_the_shape_is_there(name: str, document: dict[str, Any]) -> None:
    shape = FILES[name]
    found: Counter[ProcessClass] = Counter()
    for service in nodes(document).values():
        selected = selection_of(settings_of(environment_of(service)))
        assert selected.shape is shape
        found[selected.process_class] += 1
    assert set(found) == set(BUNDLES[shape])
    more = {each: count for each, count in found.items() if count > 1}
    # The small cluster of the deployment guide: two API nodes, one scheduler.
    assert more == (
        {ProcessClass.SERVER_HTTP_NODE: 2} if shape is Shape.STANDALONE_SERVER else {}
    )


def test_nodes_share_one_database_and_redis(document: dict[str, Any]) -> None:
    found = [settings_of(environment_of(each)) for each in nodes(document).values()]
    assert {each.database.url for each in found} == {
        "postgresql://dwserver:filled@postgres:5432/dwserver"
    }
    assert {each.redis.url for each in found} == {"redis://redis:6379/0"}
    bootstrap = document["services"]["bootstrap"]
    assert bootstrap["command"] == ["bootstrap"]
    prepared = settings_of(environment_of(bootstrap))
    assert prepared.database == found[0].database


def test_nodes_wait_for_the_schema(document: dict[str, Any]) -> None:
    for service in nodes(document).values():
        waits = service["depends_on"]["bootstrap"]["condition"]
        assert waits == "service_completed_successfully"


def test_secrets_are_references_that_must_be_set(document: dict[str, Any]) -> None:
    referenced = set()
    for service in document["services"].values():
        for variable, text in service.get("environment", {}).items():
            if variable in SECRETS or "PASSWORD" in variable:
                found = REFERENCE.fullmatch(text)
                assert found is not None, f"{variable} is written out"
                assert found[2] == "?", f"{variable} may be missing"
                referenced.add(found[1])
    assert env_file("secrets.example") == dict.fromkeys(referenced, "")
    assert not SECRETS & set(env_file("cluster.env"))


def test_workers_get_no_credentials_of_operators(document: dict[str, Any]) -> None:
    for service in nodes(document).values():
        settings = settings_of(environment_of(service))
        runs_user_code = Role.EXECUTION_PLANE in selection_of(settings).roles
        assert runs_user_code == (settings.auth.admin_token is None)
        assert runs_user_code == (settings.server.server_key is None)
        assert settings.auth.worker_token == "filled"
        if runs_user_code:
            assert settings.execution.modules
            assert settings.execution.server_url == "http://load-balancer:8080"
            assert service["profiles"] == ["workers"]


def test_nodes_are_confined(document: dict[str, Any]) -> None:
    for service in (*nodes(document).values(), document["services"]["bootstrap"]):
        assert service["read_only"] is True
        assert service["cap_drop"] == ["ALL"]
        assert service["security_opt"] == ["no-new-privileges:true"]
    published = [each for each, s in document["services"].items() if "ports" in s]
    assert published == ["load-balancer"]


def test_stopping_has_the_time_it_needs(document: dict[str, Any]) -> None:
    for service in nodes(document).values():
        shutdown = settings_of(environment_of(service)).shutdown
        grace = SECONDS.fullmatch(service["stop_grace_period"])
        assert grace is not None
        assert int(grace[1]) > shutdown.drain_seconds + shutdown.timeout_seconds


def test_the_default_modules_are_those_of_the_example(document: dict[str, Any]) -> None:
    (worker,) = (each for each in nodes(document).values() if "profiles" in each)
    settings = settings_of(environment_of(worker))
    for module in settings.execution.modules:
        assert (ROOT / Path(*module.split("."))).with_suffix(".py").exists()
    (mount,) = worker["volumes"]
    source, target, mode = filled_in(mount).split(":")
    assert (FOLDER / source).resolve() == ROOT / "examples"
    assert (target, mode) == ("/modules/examples", "ro")
    assert worker["environment"]["PYTHONPATH"] == "/modules"


# --- the load balancer ----------------------------------------------------------------


@pytest.fixture
def balancer(document: dict[str, Any]) -> str:
    (mount,) = document["services"]["load-balancer"]["volumes"]
    source, target, mode = mount.split(":")
    assert (target, mode) == ("/usr/local/etc/haproxy/haproxy.cfg", "ro")
    return (FOLDER / source).read_text()


def test_the_load_balancer_reaches_the_nodes_with_an_ingress(
    document: dict[str, Any], balancer: str
) -> None:
    servers = re.findall(
        r"^    server(?:-template)? \S+ (?:1-\d+ )?(\S+):(\d+)$", balancer, re.MULTILINE
    )
    edges = {}
    for name, service in nodes(document).items():
        settings = settings_of(environment_of(service))
        selected = selection_of(settings)
        # In the split shape the edge is a class of its own.
        is_edge = selected.roles[0] is Role.API_INGRESS
        if is_edge and selected.process_class is not ProcessClass.CONTROL_PLANE_NODE:
            edges[name] = str(settings.http.port)
    assert dict(servers) == edges


def test_the_load_balancer_asks_for_readiness(
    document: dict[str, Any], balancer: str
) -> None:
    (path,) = re.findall(r"http-check send meth GET uri (\S+)", balancer)
    assert path == "/api/ready"
    assert path in PROBES
    (every, sooner, falls) = re.findall(
        r"inter (\d+)s fastinter (\d+)s fall (\d+)", balancer
    )[0]
    notices = int(every) + int(sooner) * (int(falls) - 1)
    for service in nodes(document).values():
        shutdown = settings_of(environment_of(service)).shutdown
        assert shutdown.drain_seconds > notices


def test_the_load_balancer_lets_polls_wait(balancer: str) -> None:
    for side in ("client", "server"):
        (seconds,) = re.findall(rf"timeout {side} (\d+)s", balancer)
        assert int(seconds) > 60
    assert "retry-on conn-failure" in balancer
    assert "cookie" not in balancer

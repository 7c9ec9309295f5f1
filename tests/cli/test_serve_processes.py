"""``dwserver serve --processes``: several nodes on one port."""

from __future__ import annotations

import socket
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import orjson
import pytest

from dwserver.cli.cluster_status import describe
from dwserver.config.settings import load_settings
from dwserver.roles.cluster_status import read_cluster_status
from tests.cli.command import run
from tests.support.json_http import JsonHttp, operator
from tests.support.ports import LOOPBACK, free_port
from tests.support.probes import run_in_thread
from tests.support.processes import TEST_TOKEN
from tests.support.server_process import ServerProcess
from tests.support.waiting import wait_until

COUNT = 3
IDS = [f"node-{number}" for number in range(1, COUNT + 1)]
UNUSED = "postgresql://dw@localhost/unused"


def nodes(url: str) -> dict[str, dict[str, Any]]:
    """The live nodes by id, as `dwserver cluster status` reads them."""
    settings = load_settings({"DW_DATABASE_URL": url})
    report = run_in_thread(read_cluster_status(settings))
    assert ("no live node" in describe(report, settings)) == (not report["nodes"])
    return {node["node_id"]: node for node in report["nodes"]}


def wait_for_nodes(
    url: str, holds: Callable[[dict[str, dict[str, Any]]], bool], what: str
) -> dict[str, dict[str, Any]]:
    wait_until(lambda: holds(nodes(url)), deadline_seconds=40, what=what)
    return nodes(url)


def server_id(base_url: str) -> str:
    """Who answers a new connection."""
    client = JsonHttp(base_url, {"Authorization": f"Bearer {TEST_TOKEN}"})
    answer = client.request("GET", "/api/cluster/info").expect(200)
    return str(answer["server_id"])


def pid_of(parent: int, node: str) -> int:
    """The child process of that id."""
    for entry in Path("/proc").glob("[0-9]*"):
        try:
            status = (entry / "status").read_text()
            environ = (entry / "environ").read_bytes()
        except OSError:
            continue
        if (
            f"PPid:\t{parent}\n" in status
            and f"DW_SERVER_ID={node}".encode() in environ
        ):
            return int(entry.name)
    raise AssertionError(f"{parent} has no process {node}")


@pytest.fixture
def group(postgres_url: str, tmp_path: Path) -> Iterator[ServerProcess]:
    env = {
        "DW_DATABASE_URL": postgres_url,
        "DW_AUTH_TOKEN": TEST_TOKEN,
        "DW_SERVER_ID": "node",
        "DW_NODE_HEARTBEAT_SECONDS": "1",
    }
    command = ("serve", "--processes", str(COUNT))
    log = tmp_path / "server.log"
    with ServerProcess(env, log_path=log, command=command) as server:
        wait_for_nodes(postgres_url, lambda found: len(found) == COUNT, "all nodes")
        yield server


@pytest.mark.full
def test_each_process_is_a_node_and_is_replaced_when_it_dies(
    group: ServerProcess, postgres_url: str
) -> None:
    found = nodes(postgres_url)
    assert sorted(found) == IDS
    table = run("cluster", "status", env={"DW_DATABASE_URL": postgres_url}).output
    assert [line.split()[0] for line in table.splitlines()] == ["node", *IDS]
    # On the common port anyone, on its own one only itself.
    assert {server_id(group.base_url) for _ in range(40)} == set(IDS)
    for name, node in found.items():
        assert server_id(node["address"]) == name
    listed = operator(group.base_url, TEST_TOKEN).request("GET", "/api/cluster/nodes")
    rows = listed.expect(200)["nodes"]
    assert [row["node_id"] for row in rows] == IDS
    assert sum(row["is_answering"] for row in rows) == 1

    victim = pid_of(group.pid, IDS[1])
    subprocess.run(["kill", "-9", str(victim)], check=True)
    started_at = found[IDS[1]]["started_at"]
    found = wait_for_nodes(
        postgres_url,
        lambda now: IDS[1] in now and now[IDS[1]]["started_at"] != started_at,
        "its successor",
    )
    assert server_id(found[IDS[1]]["address"]) == IDS[1]
    assert pid_of(group.pid, IDS[1]) != victim
    assert '"status":-9' in group.log_text()

    assert group.terminate() == 0
    lines = [orjson.loads(line) for line in group.log_text().splitlines()]
    stopped = [line["node"] for line in lines if line["event"] == "node_stopped"]
    assert sorted(stopped) == IDS
    # Everyone has said farewell.
    assert nodes(postgres_url) == {}


@pytest.mark.full
def test_nodes_do_not_outlive_their_supervisor(
    group: ServerProcess, postgres_url: str
) -> None:
    group.kill()
    wait_for_nodes(postgres_url, lambda found: not found, "the end of all nodes")
    wait_until(
        lambda: group.log_text().count("node_stopped") == COUNT,
        deadline_seconds=30,
        what="an orderly end",
    )


def test_an_empty_cluster_and_one_without_a_schema(
    store_url: str, empty_store_url: str
) -> None:
    command = ("cluster", "status", "--json")
    ended = run(*command, env={"DW_DATABASE_URL": store_url})
    assert (ended.status, orjson.loads(ended.output)) == (0, {"nodes": []})
    ended = run(*command, env={"DW_DATABASE_URL": empty_store_url})
    is_file = empty_store_url.startswith("sqlite:")
    missing = "no database file" if is_file else "dwserver bootstrap"
    assert missing in ended.complaint


def test_the_first_process_that_cannot_boot_ends_all() -> None:
    env = {"DW_DATABASE_URL": UNUSED, "DW_WORKER_PROTOCOL_VERSION": "9.9"}
    ended = run("serve", "--processes", "4", "--port", str(free_port()), env=env)
    assert "DW_WORKER_PROTOCOL_VERSION" in ended.complaint
    late = {"DW_DATABASE_URL": f"postgresql://dw@{LOOPBACK}:{free_port()}/dw"}
    ended = run("serve", "--processes", "4", "--port", str(free_port()), env=late)
    assert "database did not start" in ended.complaint


def test_processes_cannot_share_a_file(sqlite_url: str) -> None:
    env = {"DW_DATABASE_URL": sqlite_url}
    assert "SQLite" in run("serve", "--processes", "2", env=env).complaint


@pytest.mark.parametrize("is_shared", [False, True])
def test_the_port_of_somebody_else_is_not_shared(is_shared: bool) -> None:
    with socket.socket() as listener:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, is_shared)
        listener.bind((LOOPBACK, 0))
        listener.listen()
        port = str(listener.getsockname()[1])
        env = {"DW_DATABASE_URL": UNUSED}
        ended = run("serve", "--processes", "2", "--port", port, env=env)
    assert "cannot listen on" in ended.complaint


def test_options_go_before_the_environment() -> None:
    env = {
        "DW_DATABASE_URL": UNUSED,
        "DW_SERVER_TOPOLOGY_SHAPE": "standalone_server",
        "DW_SERVER_PROCESS_CLASS": "server_http_node",
    }
    options = ("--shape", "split_control_execution", "--process-class", "ingress_node")
    assert "DW_SERVER_KEY" in run("serve", *options, env=env).complaint

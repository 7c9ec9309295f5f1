"""``dwserver cluster``: a split cluster of real processes from one command."""

from __future__ import annotations

import os
import re
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import pytest

from dwserver.cli.local_cluster import binaries
from dwserver.cli.local_cluster.plan import (
    CLASSES,
    ClusterPlan,
    chosen,
    node_plans,
)
from dwserver.config.contract import BY_NAME
from dwserver.topology.shapes import ProcessClass
from tests.cli import command
from tests.support.environment import clean_environment
from tests.support.json_http import JsonHttp, operator
from tests.support.ports import free_port
from tests.support.source_tree import ROOT
from tests.support.waiting import wait_until

START_SECONDS = 90
NODE = re.compile(r"^(\S+) +(http://\S+) +(?:pid (\d+)|down)$", re.MULTILINE)


class Up:
    """A running ``dwserver cluster up``."""

    def __init__(self, folder: Path, words: Sequence[str]) -> None:
        self.port = free_port()
        self._log = folder / "cluster.log"
        self._state = folder / "state"
        words = (*words, "--port", str(self.port), "--state-dir", str(self._state))
        with self._log.open("wb") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "dwserver", "cluster", "up", *words],
                cwd=ROOT,
                env=clean_environment(),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
            )

    def log(self) -> str:
        return self._log.read_text(errors="replace")

    def wait_ready(self) -> None:
        wait_until(
            lambda: (
                "The cluster is ready" in self.log() or self.process.poll() is not None
            ),
            deadline_seconds=START_SECONDS,
            what=f"the cluster (log: {self._log})",
        )
        assert self.process.poll() is None, self.log()[-4000:]

    def ask(self, *words: str) -> command.Ended:
        return command.run("cluster", *words, "--state-dir", str(self._state))

    def nodes(self) -> dict[str, tuple[str, int | None]]:
        """Address and process id of every node, by its name."""
        found = NODE.findall(self.ask("ps").output)
        return {name: (url, int(pid) if pid else None) for name, url, pid in found}

    def token(self) -> str:
        found = re.search(r"^  token +(\S+)$", self.log(), re.MULTILINE)
        assert found is not None
        return found[1]

    def end(self, number: signal.Signals) -> int:
        self.process.send_signal(number)
        return self.process.wait(timeout=90)


def is_alive(pid: int) -> bool:
    """Whether the process runs; one that waits to be reaped does not."""
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except OSError:
        return False
    return state != "Z"


@pytest.fixture
def up(empty_postgres_url: str, redis_url: str, tmp_path: Path) -> Iterator[Up]:
    """A cluster on the session's databases."""
    started = Up(
        tmp_path, ["--database-url", empty_postgres_url, "--redis-url", redis_url]
    )
    try:
        started.wait_ready()
        yield started
    finally:
        started.process.kill()
        started.process.wait()


@pytest.mark.cluster
def test_one_command_brings_up_every_class_and_takes_it_down(up: Up) -> None:
    nodes = up.nodes()
    assert set(nodes) == {
        f"{each}-1" for each in CLASSES if each != ProcessClass.EXECUTION_NODE
    }
    for name, (url, pid) in nodes.items():
        assert pid is not None
        info = operator(url, up.token()).request("GET", "/api/cluster/info").expect(200)
        assert info["topology"]["current_process_class"] == name.removesuffix("-1")
    edge = JsonHttp(f"http://127.0.0.1:{up.port}")
    edge.request("GET", "/api/ready").expect(200)

    _, killed = nodes["scheduler_node-1"]
    assert killed is not None
    os.kill(killed, signal.SIGKILL)
    wait_until(lambda: "scheduler_node-1 ended with signal 9" in up.log())
    assert up.nodes()["scheduler_node-1"][1] is None

    restarted = up.ask("restart", "scheduler")
    assert restarted.status == 0, restarted
    assert "scheduler_node-1 is ready" in restarted.output
    assert up.nodes()["scheduler_node-1"][1] not in (None, killed)
    unknown = up.ask("restart", "no-such-node")
    assert unknown.status == 1
    assert "there is no node or class no-such-node" in unknown.output

    pids = [pid for _, pid in up.nodes().values() if pid is not None]
    assert up.end(signal.SIGTERM) == 0
    assert [pid for pid in pids if is_alive(pid)] == []
    ended = re.findall(r"^(\w+)-1 +\| .*node_stopped", up.log(), re.MULTILINE)
    assert ended[0] == "ingress_node"
    assert sorted(ended) == sorted(name.removesuffix("-1") for name in nodes)


@pytest.mark.cluster
@pytest.mark.full
def test_nothing_outlives_a_cluster_that_is_killed(up: Up) -> None:
    pids = [pid for _, pid in up.nodes().values() if pid is not None]
    up.end(signal.SIGKILL)
    wait_until(
        lambda: not any(is_alive(pid) for pid in pids),
        deadline_seconds=45,
        what="the end of the nodes",
    )


@pytest.mark.cluster
@pytest.mark.full
def test_without_urls_it_brings_its_own_databases(tmp_path: Path) -> None:
    """Or says which of them this machine lacks."""
    if binaries.missing():
        complaint = command.run("cluster", "up").complaint
        assert "is not on this machine" in complaint
        return
    started = Up(tmp_path, [])
    try:
        started.wait_ready()
        found = re.search(r"creating directory (\S+)/data", started.log())
        assert found is not None
        folder = Path(found[1])
        assert folder.exists()
        client = operator(f"http://127.0.0.1:{started.port}", started.token())
        client.request("GET", "/api/ready").expect(200)
        assert started.end(signal.SIGINT) == 0
    finally:
        started.process.kill()
        started.process.wait()
    assert not folder.exists()


def test_a_port_that_is_taken_is_told_before_anything_starts(tmp_path: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = str(taken.getsockname()[1])
        words = ("--port", port, "--database-url", "postgresql://127.0.0.1:9/dw")
        words += ("--redis-url", "redis://127.0.0.1:9", "--state-dir", str(tmp_path))
        ended = command.run("cluster", "up", *words)
    assert f"ingress_node-1 cannot listen on 127.0.0.1:{port}" in ended.complaint
    assert ended.output == ""


def test_what_failed_is_told_last(tmp_path: Path) -> None:
    words = (
        "--port",
        str(free_port()),
        "--database-url",
        "postgresql://127.0.0.1:9/dw",
    )
    words += ("--redis-url", "redis://127.0.0.1:9", "--state-dir", str(tmp_path))
    ended = command.run("cluster", "up", *words, env={"DW_BOOTSTRAP_RETRIES": "1"})
    assert ended.complaint.startswith(
        "dwserver: bootstrap failed: database postgresql://127.0.0.1:9/dw: "
    )


def test_no_node_is_listed(store_url: str) -> None:
    ended = command.run("cluster", "status", env={"DW_DATABASE_URL": store_url})
    assert ended.status == 0
    assert ended.output.startswith("no live node")


@pytest.mark.parametrize(
    ("words", "complaint"),
    [
        (("up", "--nodes", "worker=1"), "'worker' is none of"),
        (("up", "--nodes", "matching"), "is not CLASS=COUNT"),
        (("up", "--nodes", "ingress=0"), "needs an ingress node"),
    ],
)
def test_bad_counts_are_refused(words: tuple[str, ...], complaint: str) -> None:
    ended = command.run("cluster", *words)
    assert ended.status == 2
    assert complaint in ended.errors


@pytest.mark.parametrize("words", [("ps",), ("restart", "matching_node")])
def test_without_a_cluster_the_folder_is_named(
    words: tuple[str, ...], tmp_path: Path
) -> None:
    ended = command.run("cluster", *words, "--state-dir", str(tmp_path))
    assert ended.complaint.endswith(f"no cluster runs with the state folder {tmp_path}")


# --- the plan -------------------------------------------------------------------------


def plan(**counts: int) -> ClusterPlan:
    return ClusterPlan(
        host="127.0.0.1",
        port=8080,
        counts={ProcessClass(f"{name}_node"): n for name, n in counts.items()},
        environment={"DW_AUTH_TOKEN": "token"},
        server_key="key",
    )


def test_nodes_differ_in_name_port_and_class() -> None:
    ports = iter(range(9000, 9100))
    wanted = plan(ingress=2, matching=2, execution=1)
    nodes = node_plans(wanted, free_port=lambda: next(ports))
    assert [node.name for node in nodes] == [
        "ingress_node-1",
        "ingress_node-2",
        "matching_node-1",
        "matching_node-2",
        "execution_node-1",
    ]
    assert [node.port for node in nodes] == [8080, 8081, 9000, 9001, 9002]
    for node in nodes:
        assert set(node.environment) <= set(BY_NAME)
        assert node.environment["DW_SERVER_PROCESS_CLASS"] == node.process_class
        assert node.environment["DW_EXECUTION_SERVER_URL"] == "http://127.0.0.1:8080"
        # Who has the key may speak for everybody: not the code of others.
        has_key = "DW_SERVER_KEY" in node.environment
        assert has_key == (node.process_class != ProcessClass.EXECUTION_NODE)


def test_addresses_of_ipv6_are_bracketed() -> None:
    wanted = replace(plan(ingress=1, matching=1), host="::1")
    for node in node_plans(wanted, free_port=lambda: 9000):
        assert node.base_url == f"http://[::1]:{node.port}"
        assert node.environment["DW_INTERNAL_ADDRESS"] == node.base_url
        assert node.environment["DW_HTTP_HOST"] == "::1"
    assert wanted.base_url == "http://[::1]:8080"


@pytest.mark.parametrize(
    ("word", "names"),
    [
        ("matching_node", ["matching_node-1", "matching_node-2"]),
        ("matching", ["matching_node-1", "matching_node-2"]),
        ("matching_node-2", ["matching_node-2"]),
        ("ingress_node-2", []),
    ],
)
def test_a_word_means_a_node_or_a_class(word: str, names: list[str]) -> None:
    nodes = node_plans(plan(ingress=1, matching=2), free_port=free_port)
    assert [node.name for node in chosen(nodes, word)] == names

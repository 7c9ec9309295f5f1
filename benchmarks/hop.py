"""What it costs to go through an ingress: ``python -m benchmarks.hop --help``.

One control-plane node is asked directly and through an ingress node, in turns, by the
same closed loop of clients. Only ratios within one run mean something.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import sys
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from time import monotonic

import uvloop

from benchmarks import metering
from benchmarks.load.http_client import Connection
from benchmarks.load.process import allow_open_files
from benchmarks.private_postgres import running_postgres
from benchmarks.servers import bootstrap
from tests.support.server_process import ServerProcess
from tests.support.waiting import wait_until

TOKEN = "hop"
SPLIT = "split_control_execution"
PATH = "/api/namespaces/default"
HEADERS = {
    "Authorization": f"Bearer {TOKEN}",
    "X-Durable-Workflow-Control-Plane-Version": "2",
}
INGRESS, ANSWERING = "ingress", "control_plane"
MICROS = 1_000_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Way:
    """One way to the node, measured: CPU per request of each node, in microseconds."""

    requests: int
    per_second: float
    p50_us: float
    p99_us: float
    ingress_us: float
    answering_us: float


@contextmanager
def running_nodes(folder: Path) -> Iterator[dict[str, ServerProcess]]:
    """An ingress node and the node that it finds behind it."""
    with running_postgres() as postgres, ExitStack() as stack:
        database_url = postgres.databases.create()
        bootstrap(database_url)
        nodes = {}
        for name in (ANSWERING, INGRESS):
            env = {
                "DW_DATABASE_URL": database_url,
                "DW_AUTH_DRIVER": "token",
                "DW_AUTH_TOKEN": TOKEN,
                "DW_SERVER_KEY": "the key of this benchmark",
                "DW_SERVER_TOPOLOGY_SHAPE": SPLIT,
                "DW_SERVER_PROCESS_CLASS": f"{name}_node",
            }
            node = ServerProcess(env, log_path=folder / f"{name}.log")
            nodes[name] = stack.enter_context(node)
        wait_until(
            lambda: uvloop.run(status_of(nodes[INGRESS])) == 200,
            deadline_seconds=30,
            what="an answer through the ingress",
        )
        yield nodes


async def status_of(node: ServerProcess) -> int:
    connection = Connection(node.base_url, HEADERS)
    try:
        status, _ = await connection.request("GET", PATH)
        return status
    finally:
        connection.close()


async def latencies(url: str, *, clients: int, seconds: float) -> list[float]:
    """Of every request that the clients made one after the other, in seconds."""
    found: list[float] = []
    until = monotonic() + seconds

    async def ask() -> None:
        connection = Connection(url, HEADERS)
        while (began := monotonic()) < until:
            status, _ = await connection.request("GET", PATH)
            if status != 200:
                raise SystemExit(f"bench: {url} answered {status}")
            found.append(monotonic() - began)
        connection.close()

    await asyncio.gather(*(ask() for _ in range(clients)))
    return found


def measured(
    nodes: dict[str, ServerProcess], entry: str, *, clients: int, seconds: float
) -> Way:
    roots = {name: node.pid for name, node in nodes.items()}
    before, began = metering.read(roots), monotonic()
    taken = sorted(
        uvloop.run(latencies(nodes[entry].base_url, clients=clients, seconds=seconds))
    )
    duration = monotonic() - began
    used = metering.usage_between(
        before, metering.read(roots), cores=os.cpu_count() or 1
    ).cpu_seconds
    count = len(taken)
    return Way(
        requests=count,
        per_second=count / duration,
        p50_us=taken[count // 2] * MICROS,
        p99_us=taken[count * 99 // 100] * MICROS,
        ingress_us=used[INGRESS] / count * MICROS,
        answering_us=used[ANSWERING] / count * MICROS,
    )


def of_median_cpu(ways: list[Way]) -> Way:
    middle = median(way.ingress_us + way.answering_us for way in ways)
    return min(ways, key=lambda way: abs(way.ingress_us + way.answering_us - middle))


@dataclass(frozen=True, slots=True, kw_only=True)
class Hop:
    """Both ways to the same node, of each the round in the middle by CPU."""

    direct: Way
    forwarded: Way

    @property
    def ingress_share(self) -> float:
        """CPU of the ingress ÷ CPU of the direct answer."""
        return self.forwarded.ingress_us / self.direct.answering_us


def measure_hop(folder: Path, *, clients: int, seconds: float, rounds: int) -> Hop:
    """``seconds`` of each way in each round, in turns."""
    with running_nodes(folder) as nodes:
        ways: dict[str, list[Way]] = {ANSWERING: [], INGRESS: []}
        for _ in range(rounds):
            for entry, found in ways.items():
                found.append(measured(nodes, entry, clients=clients, seconds=seconds))
    return Hop(
        direct=of_median_cpu(ways[ANSWERING]), forwarded=of_median_cpu(ways[INGRESS])
    )


def table(hop: Hop) -> str:
    direct, forwarded = hop.direct, hop.forwarded
    rows = [
        ("requests/s", direct.per_second, forwarded.per_second),
        ("p50 µs", direct.p50_us, forwarded.p50_us),
        ("p99 µs", direct.p99_us, forwarded.p99_us),
        (
            "CPU µs of the node that answers",
            direct.answering_us,
            forwarded.answering_us,
        ),
        ("CPU µs, ingress", 0.0, forwarded.ingress_us),
    ]
    lines = ["| | direct | forwarded | ratio |", "|---|---|---|---|"]
    for name, one, other in rows:
        ratio = f"{other / one:.2f}" if one else ""
        lines.append(f"| {name} | {one:.0f} | {other:.0f} | {ratio} |")
    share = f"{hop.ingress_share:.2f} × the CPU of the direct answer"
    lines.append(f"\nThe ingress takes {share}.")
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(prog="benchmarks.hop", description=__doc__)
    parser.add_argument("--clients", type=int, default=16)
    parser.add_argument("--seconds", type=float, default=5.0, help="of each round")
    parser.add_argument("--rounds", type=int, default=3)
    arguments = parser.parse_args(sys.argv[1:])
    allow_open_files()
    with tempfile.TemporaryDirectory(prefix="dwserver-hop-") as folder:
        hop = measure_hop(
            Path(folder),
            clients=arguments.clients,
            seconds=arguments.seconds,
            rounds=arguments.rounds,
        )
    print(table(hop))


if __name__ == "__main__":
    main()

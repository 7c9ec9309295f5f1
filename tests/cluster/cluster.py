"""A cluster of real ``dwserver`` processes on one PostgreSQL and one Redis.

No pytest here: benchmarks may start clusters with this module as well. The methods
block the calling thread; from a coroutine use ``asyncio.to_thread``.
"""

from __future__ import annotations

import secrets
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Self

from dwserver.topology.shapes import BUNDLES, ProcessClass, Role, Shape
from tests.support.ports import free_port
from tests.support.server_process import ServerProcess
from tests.support.source_tree import ROOT

SPLIT = Shape.SPLIT_CONTROL_EXECUTION
TOKEN = "cluster-token"
# Many interpreters start at once, perhaps on few cores.
READY_SECONDS = 60.0

EDGES = {
    Shape.SPLIT_CONTROL_EXECUTION: ProcessClass.INGRESS_NODE,
    Shape.STANDALONE_SERVER: ProcessClass.SERVER_HTTP_NODE,
}
"""The class that clients talk to."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ClusterSettings:
    """``counts``: processes of each class; None is one of each class that serves.
    ``environment`` goes to every node, ``of_class`` to those of a class, on top.
    ``ports``: of the first node of a class, where that is known beforehand;
    ``source``: the folder with the package that nodes run."""

    database_url: str
    redis_url: str
    shape: Shape = SPLIT
    counts: Mapping[ProcessClass, int] | None = None
    environment: Mapping[str, str] = field(default_factory=dict)
    of_class: Mapping[ProcessClass, Mapping[str, str]] = field(default_factory=dict)
    ports: Mapping[ProcessClass, int] = field(default_factory=dict)
    source: Path = ROOT
    server_key: str = field(default_factory=lambda: secrets.token_urlsafe(32))

    def classes(self) -> Iterator[tuple[ProcessClass, int]]:
        """Class and number of each process."""
        for process_class, roles in BUNDLES[self.shape].items():
            # Execution nodes are of no use without modules.
            is_worker = Role.EXECUTION_PLANE in roles
            default = 1 if self.counts is None and not is_worker else 0
            count = (self.counts or {}).get(process_class, default)
            yield from ((process_class, number) for number in range(1, count + 1))


class Cluster:
    """Nodes by name, ``<class>-<number>``; a context manager that starts and ends them.

    Each node is a :class:`~tests.support.server_process.ServerProcess`: kill, suspend,
    resume, terminate and start it again as one. Logs: ``<name>.log`` in ``folder``.
    """

    def __init__(self, settings: ClusterSettings, *, folder: Path) -> None:
        self.settings = settings
        self._folder = folder
        edge = EDGES[settings.shape]
        # Known before the nodes are made: workers are told where the edge is.
        self._ports = {
            _name(*each): free_port() for each in [*settings.classes(), (edge, 1)]
        } | {_name(each, 1): port for each, port in settings.ports.items()}
        self.nodes = {
            _name(*each): self._node(*each, env={}, source=settings.source)
            for each in settings.classes()
        }

    def __enter__(self) -> Self:
        try:
            self.start()
        except BaseException:
            self.kill()
            raise
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.kill()

    @property
    def base_url(self) -> str:
        """Of the first node that clients talk to."""
        port = self._ports[_name(EDGES[self.settings.shape], 1)]
        return f"http://127.0.0.1:{port}"

    def start(self) -> None:
        """Start what does not run: the nodes inside, then the edge, which sees them
        as soon as it registers, then workers. Each is ready before the next."""
        edge = EDGES[self.settings.shape]
        workers = {
            each
            for each, roles in BUNDLES[self.settings.shape].items()
            if Role.EXECUTION_PLANE in roles
        }
        inside = set(BUNDLES[self.settings.shape]) - workers - {edge}
        for stage in (inside, {edge}, workers):
            nodes = [node for each in stage for node in self.of_class(each)]
            for node in nodes:
                if not node.is_running:
                    node.start()
            for node in nodes:
                node.wait_ready(READY_SECONDS)

    def kill(self) -> None:
        """SIGKILL for all."""
        for node in self.nodes.values():
            node.kill()

    def node(self, process_class: ProcessClass, number: int = 1) -> ServerProcess:
        return self.nodes[_name(process_class, number)]

    def of_class(self, process_class: ProcessClass) -> list[ServerProcess]:
        """All nodes of a class."""
        return [
            self.node(each, number)
            for each, number in self.settings.classes()
            if each is process_class
        ]

    def restart(self, process_class: ProcessClass) -> None:
        """SIGTERM and start again, one node of the class after the other."""
        for node in self.of_class(process_class):
            node.terminate()
            node.start()
            node.wait_ready(READY_SECONDS)

    def replace(
        self,
        process_class: ProcessClass,
        number: int,
        env: Mapping[str, str],
        *,
        source: Path = ROOT,
    ) -> ServerProcess:
        """End a node and start another configuration or build of it on its port: a
        class, a setting. Its name in ``nodes`` stays."""
        name = _name(process_class, number)
        self.nodes[name].terminate()
        self.nodes[name] = self._node(process_class, number, env=env, source=source)
        self.nodes[name].start()
        self.nodes[name].wait_ready(READY_SECONDS)
        return self.nodes[name]

    def _node(
        self,
        process_class: ProcessClass,
        number: int,
        *,
        env: Mapping[str, str],
        source: Path,
    ) -> ServerProcess:
        name, settings = _name(process_class, number), self.settings
        port = self._ports[name]
        # Nodes that run the code of others must do without the key.
        is_worker = Role.EXECUTION_PLANE in BUNDLES[settings.shape][process_class]
        return ServerProcess(
            {
                # The database shows whose connection is whose.
                "DW_DATABASE_URL": f"{settings.database_url}?application_name={name}",
                "DW_REDIS_URL": settings.redis_url,
                "DW_AUTH_TOKEN": TOKEN,
                **({} if is_worker else {"DW_SERVER_KEY": settings.server_key}),
                "DW_SERVER_TOPOLOGY_SHAPE": settings.shape.value,
                "DW_SERVER_PROCESS_CLASS": process_class.value,
                "DW_SERVER_ID": name,
                "DW_INTERNAL_ADDRESS": f"http://127.0.0.1:{port}",
                "DW_V2_MULTI_NODE": "true",
                "DW_EXECUTION_SERVER_URL": self.base_url,
                "NO_PROXY": "127.0.0.1",
                **settings.environment,
                **settings.of_class.get(process_class, {}),
                **env,
            },
            log_path=self._folder / f"{name}.log",
            port=port,
            source=source,
        )


def _name(process_class: ProcessClass, number: int) -> str:
    return f"{process_class.value}-{number}"

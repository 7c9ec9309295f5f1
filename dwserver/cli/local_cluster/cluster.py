"""The life of a local cluster: start in stages, restart of one node, end in reverse."""

from __future__ import annotations

import asyncio
import socket
import sys
from collections.abc import Callable, Mapping, Sequence
from typing import Final

import aiohttp

from dwserver.cli.local_cluster.child import Child, Program
from dwserver.cli.local_cluster.control import Tell
from dwserver.cli.local_cluster.databases import TemporaryServer
from dwserver.cli.local_cluster.errors import LocalClusterError
from dwserver.cli.local_cluster.output import Terminal
from dwserver.cli.local_cluster.plan import START_STAGES, NodePlan, chosen

START_SECONDS: Final = 60.0
# Longer than a node takes for its own orderly end by default.
STOP_SECONDS: Final = 40.0
LOOK_SECONDS: Final = 0.05

_DWSERVER: Final = (sys.executable, "-m", "dwserver")


class NodeFailed(LocalClusterError):
    """A process ended, or did not become ready in time."""


def _check_address(node: NodePlan) -> None:
    """Whoever listens there already would be taken for the node."""
    try:
        found = socket.getaddrinfo(
            node.host, node.port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )
        family, kind, protocol, _, address = found[0]
        with socket.socket(family, kind, protocol) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind(address)
    except OSError as error:
        raise NodeFailed(
            f"{node.name} cannot listen on {node.host}:{node.port}: "
            f"{error.strerror}; --host and --port name another address"
        ) from None


class LocalCluster:
    """``base``: the environment of the caller; a node's own settings go on top."""

    def __init__(
        self,
        nodes: Sequence[NodePlan],
        *,
        databases: Sequence[TemporaryServer],
        base: Mapping[str, str],
        terminal: Terminal,
    ) -> None:
        self._nodes = nodes
        self._databases = databases
        self._base = base
        self._terminal = terminal
        self._children = {node.name: self._child_of(node) for node in nodes}
        self._servers = [self._child(server.program) for server in databases]
        # One restart at a time: a class never loses two of its nodes to us.
        self._restarting = asyncio.Lock()
        self._is_up = self._is_stopping = False

    async def start(self) -> None:
        """Databases, schema, then nodes stage by stage. Raises
        :class:`LocalClusterError`."""
        for node in self._nodes:
            _check_address(node)
        for server, child in zip(self._databases, self._servers, strict=True):
            await self._start_server(server, child)
        await self._run_to_end(
            Program(
                name="bootstrap",
                command=(*_DWSERVER, "bootstrap"),
                environment={**self._base, **self._nodes[0].environment},
            )
        )
        for stage in START_STAGES:
            nodes = [node for node in self._nodes if node.process_class in stage]
            await asyncio.gather(*(self._start_node(node) for node in nodes))
        self._is_up = True

    async def stop(self) -> None:
        """Workers first, for they need the others; then the edge, then the rest, and
        the databases last."""
        self._is_stopping = True
        for stage in reversed(START_STAGES):
            await self._stop_all(
                [
                    self._children[node.name]
                    for node in self._nodes
                    if node.process_class in stage
                ]
            )
        for child in reversed(self._servers):
            await child.stop(STOP_SECONDS)

    def kill(self) -> None:
        """End everything at once."""
        for child in (*self._children.values(), *self._servers):
            child.kill()

    async def handle(self, words: list[str], tell: Tell) -> bool:
        """Requests of the control socket (:mod:`.control`)."""
        match words:
            case ["restart", word]:
                return await self._restart(word, tell)
            case ["ps"]:
                for node in self._nodes:
                    pid = self._children[node.name].pid
                    state = "down" if pid is None else f"pid {pid}"
                    tell(f"{node.name:<28}{node.base_url:<28}{state}")
                return True
        tell(f"unknown request: {' '.join(words)}")
        return False

    async def _restart(self, word: str, tell: Tell) -> bool:
        """Each node that the word means, one after the other."""
        nodes = chosen(self._nodes, word)
        if not nodes:
            known = ", ".join(node.name for node in self._nodes)
            tell(f"there is no node or class {word}; nodes: {known}")
            return False
        async with self._restarting:
            for node in nodes:
                if self._is_stopping:
                    tell("the cluster is stopping")
                    return False
                await self._children[node.name].stop(STOP_SECONDS)
                tell(f"{node.name} stopped")
                try:
                    await self._start_node(node)
                except NodeFailed as error:
                    tell(str(error))
                    return False
                tell(f"{node.name} is ready")
        return True

    async def _start_node(self, node: NodePlan) -> None:
        child = self._children[node.name]
        if not child.is_running:
            _check_address(node)
        await child.start()
        timeout = aiohttp.ClientTimeout(total=5)
        async with aiohttp.ClientSession(timeout=timeout) as http:

            async def is_ready() -> bool:
                try:
                    async with http.get(f"{node.base_url}/api/ready") as answer:
                        return answer.status == 200
                except (aiohttp.ClientError, TimeoutError):
                    return False

            await self._wait_for(child, is_ready)
        self._terminal.say(f"{node.name} is ready at {node.base_url}")

    async def _start_server(self, server: TemporaryServer, child: Child) -> None:
        if server.preparation is not None:
            await self._run_to_end(server.preparation)

        async def answers() -> bool:
            return server.answers()

        await child.start()
        await self._wait_for(child, answers)

    async def _wait_for(self, child: Child, condition: Callable[[], object]) -> None:
        name = child.program.name
        loop = asyncio.get_running_loop()
        deadline = loop.time() + START_SECONDS
        while True:
            answer = condition()
            if asyncio.iscoroutine(answer) and await answer:
                return
            if not child.is_running:
                # Its last line may still be on its way.
                await child.wait()
                raise NodeFailed(f"{name} ended instead of starting{_why(child)}")
            if loop.time() > deadline:
                late = f"{name} is not ready after {START_SECONDS:g} s"
                raise NodeFailed(f"{late}{_why(child)}")
            await asyncio.sleep(LOOK_SECONDS)

    async def _run_to_end(self, program: Program) -> None:
        child = Child(program, self._terminal, on_end=lambda status: None)
        await child.start()
        try:
            status = await child.wait()
        finally:
            child.kill()
            await child.wait()
        if status != 0:
            raise NodeFailed(f"{program.name} failed{_why(child)}")

    async def _stop_all(self, children: Sequence[Child]) -> None:
        await asyncio.gather(*(child.stop(STOP_SECONDS) for child in children))

    def _child_of(self, node: NodePlan) -> Child:
        return self._child(
            Program(
                name=node.name,
                command=(*_DWSERVER, "serve"),
                environment={**self._base, **node.environment},
            )
        )

    def _child(self, program: Program) -> Child:
        def ended(status: int) -> None:
            how = f"signal {-status}" if status < 0 else f"status {status}"
            text = f"{program.name} ended with {how}"
            if self._is_up and program.name in self._children:
                text += f"; `dwserver cluster restart {program.name}` starts it again"
            self._terminal.say(text, is_bad=True)

        return Child(program, self._terminal, on_end=ended)


def _why(child: Child) -> str:
    said = child.last_line.removeprefix("dwserver: ")
    return f": {said}" if said else ""

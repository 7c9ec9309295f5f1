"""A Redis Cluster and a Sentinel for one test, on any substrate."""

from __future__ import annotations

from contextlib import AbstractContextManager
from typing import Protocol

from tests.coordination.stage import CountingRedis
from tests.support.containers import HostRedisContainer
from tests.support.local_servers import LocalRedis
from tests.support.ports import LOOPBACK, free_port
from tests.support.substrate_choice import Substrate
from tests.support.waiting import eventually

# Every slot of a Redis Cluster.
FIRST_SLOT, LAST_SLOT = 0, 16383


class RedisNode(Protocol):
    """A running server on loopback, gone at the end of its context."""

    @property
    def port(self) -> int: ...


class _LocalNode(LocalRedis):
    """``configuration``: lines of a file, of which ``{port}`` is filled in."""

    def __init__(self, configuration: str, *words: str) -> None:
        super().__init__()
        self._configuration = configuration
        self._words = words

    def _command(self) -> list[str]:
        path = self.folder / "node.conf"
        path.write_text(self._configuration.format(port=self.port))
        # A Sentinel writes what it has found out into it.
        path.chmod(0o666)
        return [str(self._binary), str(path), "--dir", str(self.folder), *self._words]


def cluster_node(substrate: Substrate) -> AbstractContextManager[RedisNode]:
    """A cluster of one node, which owns no slot yet."""
    return _running(
        substrate,
        f"port {{port}}\nbind {LOOPBACK}\nsave ''\nappendonly no\n"
        f"cluster-enabled yes\ncluster-port {free_port()}\n",
    )


def sentinel(
    substrate: Substrate, *, primary: RedisNode
) -> AbstractContextManager[RedisNode]:
    """Watches one primary, known as ``main``."""
    return _running(
        substrate,
        f"port {{port}}\nbind {LOOPBACK}\n"
        f"sentinel monitor main {LOOPBACK} {primary.port} 1\n",
        "--sentinel",
    )


def lone_node(substrate: Substrate) -> AbstractContextManager[RedisNode]:
    """A Redis that is found where it says it is."""
    configuration = f"port {{port}}\nbind {LOOPBACK}\nsave ''\nappendonly no\n"
    return _running(substrate, configuration)


def _running(
    substrate: Substrate, configuration: str, *words: str
) -> AbstractContextManager[RedisNode]:
    if substrate is Substrate.CONTAINERS:
        return HostRedisContainer(configuration, *words)
    return _LocalNode(configuration, *words)


async def take_all_slots(node: RedisNode) -> None:
    redis = CountingRedis(f"redis://{LOOPBACK}:{node.port}/0")
    await redis.execute("CLUSTER", "ADDSLOTSRANGE", FIRST_SLOT, LAST_SLOT)

    async def is_ready() -> bool:
        return b"cluster_state:ok" in bytes(await redis.execute("CLUSTER", "INFO"))

    await eventually(is_ready)
    await redis.close()

"""Which nodes may answer a request that this one passes on, in the order to try them.

Source: ``architecture.md`` §5. Every node that hosts a serving role gives the right
answer; the order only brings together what is cheaper on one node. Pollers of a task
queue meet where its tasks are handed out, and requests about one workflow find its
state in memory. Other requests take turns.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Mapping, Sequence
from itertools import takewhile
from typing import Final

from dwserver.protocol.json_types import JsonValue
from dwserver.topology.gate import SERVING_ROLES, RouteFamily
from dwserver.topology.peers import Peer, peers_hosting, ranked
from dwserver.topology.shapes import Bundle

MAX_REMEMBERED: Final = 20_000
"""Workers whose task queue is remembered, and keys whose order is."""

_SEPARATOR: Final = "\0"


class QueuesOfWorkers:
    """The task queue that each worker named last.

    A worker says which queue it serves when it registers and with every poll. What it
    reports about a task names only the worker; its lease is best known where its poll
    was answered.
    """

    def __init__(self, max_workers: int = MAX_REMEMBERED) -> None:
        self._max_workers = max_workers
        self._queues: OrderedDict[tuple[str, str], str] = OrderedDict()

    def queue_of(
        self, namespace: str, params: Mapping[str, str], body: JsonValue
    ) -> str | None:
        """The task queue that a request of the worker plane is about, if it is known;
        learns from requests that name both."""
        fields = body if isinstance(body, dict) else {}
        worker = _text(fields, "worker_id") or _text(fields, "lease_owner")
        worker = worker or params.get("worker_id")
        queue = _text(fields, "task_queue")
        if worker is None:
            return queue
        key = (namespace, worker)
        if queue is None:
            return self._queues.get(key)
        if self._queues.get(key) != queue:
            self._queues[key] = queue
            if len(self._queues) > self._max_workers:
                self._queues.popitem(last=False)
        return queue


def key_of(
    family: RouteFamily,
    namespace: str,
    params: Mapping[str, str],
    *,
    body: JsonValue,
    queues: QueuesOfWorkers,
) -> str | None:
    """What a request shares with those that should meet it on one node; ``None`` when
    any node is as good."""
    if family is RouteFamily.WORKER:
        subject = queues.queue_of(namespace, params, body)
        # A task of a worker that polled elsewhere: its requests stay together.
        subject = subject or params.get("task_id") or params.get("query_task_id")
    else:
        subject = params.get("workflow_id")
        if subject is None and isinstance(body, dict):
            subject = _text(body, "workflow_id")
    return None if subject is None else f"{namespace}{_SEPARATOR}{subject}"


class Choice:
    """Orders the peers of one view of the cluster. ``own``: the roles of this node; for
    a role that it hosts it asks nobody else."""

    def __init__(self, peers: Sequence[Peer] = (), *, own: Bundle = ()) -> None:
        self.peers = tuple(peers)
        self._serving = {
            family: tuple(
                hosting
                for role in takewhile(lambda role: role not in own, roles)
                if (hosting := peers_hosting(role, self.peers))
            )
            for family, roles in SERVING_ROLES.items()
        }
        self._ranked: dict[tuple[RouteFamily, str], tuple[Peer, ...]] = {}
        self._turns: dict[RouteFamily, list[tuple[Peer, ...]]] = {}
        self._turn = 0

    def serves(self, family: RouteFamily) -> bool:
        """Whether anybody can answer."""
        return bool(self._serving[family])

    def order(self, family: RouteFamily, key: str | None) -> tuple[Peer, ...]:
        """The nodes of the preferred role, then those of its substitutes; empty when
        nobody can answer."""
        if key is None:
            turns = self._turns.get(family) or self._all_turns(family)
            self._turn += 1
            return turns[self._turn % len(turns)]
        order = self._ranked.get((family, key))
        if order is None:
            encoded = key.encode("utf-8", "surrogateescape")
            order = self._joined(family, lambda peers: ranked(encoded, peers))
            if len(self._ranked) >= MAX_REMEMBERED:
                self._ranked.clear()
            self._ranked[family, key] = order
        return order

    def _joined(
        self,
        family: RouteFamily,
        arranged: Callable[[tuple[Peer, ...]], Sequence[Peer]],
    ) -> tuple[Peer, ...]:
        found: dict[str, Peer] = {}
        for peers in self._serving[family]:
            for peer in arranged(peers):
                found.setdefault(peer.node_id, peer)
        return tuple(found.values())

    def _all_turns(self, family: RouteFamily) -> list[tuple[Peer, ...]]:
        """The orders in which each of the preferred nodes is the first once."""

        def turned(at: int) -> tuple[Peer, ...]:
            return self._joined(
                family,
                lambda peers: peers[at % len(peers) :] + peers[: at % len(peers)],
            )

        serving = self._serving[family]
        count = len(serving[0]) if serving else 1
        self._turns[family] = [turned(at) for at in range(count)]
        return self._turns[family]


def _text(fields: Mapping[str, JsonValue], name: str) -> str | None:
    value = fields.get(name)
    return value if isinstance(value, str) and value else None

"""Which processes a local cluster consists of, and how each is configured. Pure."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

from dwserver.topology.shapes import BUNDLES, ProcessClass, Shape

SHAPE: Final = Shape.SPLIT_CONTROL_EXECUTION
CLASSES: Final = tuple(BUNDLES[SHAPE])
_SUFFIX: Final = "_node"

# Clients of the others: they need these to end well, and so end before them.
WORKERS: Final = ProcessClass.EXECUTION_NODE
EDGE: Final = ProcessClass.INGRESS_NODE

START_STAGES: Final = (
    tuple(each for each in CLASSES if each not in (WORKERS, EDGE)),
    (EDGE,),
    (WORKERS,),
)
"""Classes that may start at the same time; each stage is ready before the next."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ClusterPlan:
    """``counts``: processes of each class. ``port``: of the first ingress node, the
    others follow it. ``environment``: what every node gets, credentials included.
    ``server_key``: for nodes that do not run the code of others."""

    host: str
    port: int
    counts: Mapping[ProcessClass, int]
    environment: Mapping[str, str]
    server_key: str = field(repr=False)

    @property
    def base_url(self) -> str:
        """Where clients find the cluster."""
        return _url(self.host, self.port)


@dataclass(frozen=True, slots=True, kw_only=True)
class NodePlan:
    """One process: its name is unique in the cluster."""

    name: str
    process_class: ProcessClass
    host: str
    port: int
    environment: Mapping[str, str]

    @property
    def base_url(self) -> str:
        return _url(self.host, self.port)


def _url(host: str, port: int) -> str:
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"


def node_plans(
    plan: ClusterPlan, *, free_port: Callable[[], int]
) -> tuple[NodePlan, ...]:
    """Every node, in the order of the classes."""
    return tuple(
        _node(
            plan,
            process_class,
            number=number,
            port=plan.port + number - 1 if process_class is EDGE else free_port(),
        )
        for process_class in CLASSES
        for number in range(1, plan.counts.get(process_class, 0) + 1)
    )


def _node(
    plan: ClusterPlan, process_class: ProcessClass, *, number: int, port: int
) -> NodePlan:
    name = f"{process_class.value}-{number}"
    key = {} if process_class is WORKERS else {"DW_SERVER_KEY": plan.server_key}
    return NodePlan(
        name=name,
        process_class=process_class,
        host=plan.host,
        port=port,
        environment={
            "DW_LOG_FORMAT": "console",
            "DW_EXECUTION_SERVER_URL": plan.base_url,
            **plan.environment,
            **key,
            "DW_SERVER_TOPOLOGY_SHAPE": SHAPE.value,
            "DW_SERVER_PROCESS_CLASS": process_class.value,
            "DW_SERVER_ID": name,
            "DW_HTTP_HOST": plan.host,
            "DW_HTTP_PORT": str(port),
            "DW_INTERNAL_ADDRESS": _url(plan.host, port),
            "DW_V2_MULTI_NODE": "true",
            # Several nodes of a machine cannot share the port of one.
            "DW_METRICS_PORT": "0",
        },
    )


def chosen(nodes: Sequence[NodePlan], word: str) -> tuple[NodePlan, ...]:
    """The nodes that a word means: a node's name, or a class with all of its nodes."""
    named = class_named(word)
    return tuple(n for n in nodes if n.name == word or n.process_class is named)


def class_named(word: str) -> ProcessClass | None:
    """A class of the split shape by its name, ``_node`` left out or not."""
    wanted = word.replace("-", "_").removesuffix(_SUFFIX) + _SUFFIX
    return next((each for each in CLASSES if each.value == wanted), None)

"""Roles, process classes and shapes, and which class hosts which roles.

Source: ``spec/topology-and-operations.md`` §1.10; ``history_projection_node`` is
ours (``architecture.md`` §5): it lets projection work move out of the
control-plane nodes.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from types import MappingProxyType
from typing import Final


class Role(StrEnum):
    """The published role vocabulary, in its order."""

    API_INGRESS = "api_ingress"
    CONTROL_PLANE = "control_plane"
    MATCHING = "matching"
    HISTORY_PROJECTION = "history_projection"
    SCHEDULER = "scheduler"
    EXECUTION_PLANE = "execution_plane"


class Shape(StrEnum):
    """Deployment shapes, in published order."""

    EMBEDDED = "embedded"
    STANDALONE_SERVER = "standalone_server"
    SPLIT_CONTROL_EXECUTION = "split_control_execution"


class ProcessClass(StrEnum):
    APPLICATION_PROCESS = "application_process"
    SERVER_HTTP_NODE = "server_http_node"
    SCHEDULER_NODE = "scheduler_node"
    WORKER_NODE = "worker_node"
    INGRESS_NODE = "ingress_node"
    CONTROL_PLANE_NODE = "control_plane_node"
    MATCHING_NODE = "matching_node"
    EXECUTION_NODE = "execution_node"
    HISTORY_PROJECTION_NODE = "history_projection_node"


Bundle = tuple[Role, ...]

# Orders are published orders.
BUNDLES: Final[Mapping[Shape, Mapping[ProcessClass, Bundle]]] = MappingProxyType(
    {
        Shape.EMBEDDED: MappingProxyType(
            {
                ProcessClass.APPLICATION_PROCESS: (
                    Role.CONTROL_PLANE,
                    Role.MATCHING,
                    Role.HISTORY_PROJECTION,
                    Role.SCHEDULER,
                    Role.EXECUTION_PLANE,
                ),
            }
        ),
        Shape.STANDALONE_SERVER: MappingProxyType(
            {
                ProcessClass.SERVER_HTTP_NODE: (
                    Role.API_INGRESS,
                    Role.CONTROL_PLANE,
                    Role.MATCHING,
                    Role.HISTORY_PROJECTION,
                ),
                ProcessClass.SCHEDULER_NODE: (Role.SCHEDULER,),
                ProcessClass.WORKER_NODE: (Role.EXECUTION_PLANE,),
            }
        ),
        Shape.SPLIT_CONTROL_EXECUTION: MappingProxyType(
            {
                ProcessClass.INGRESS_NODE: (Role.API_INGRESS,),
                ProcessClass.CONTROL_PLANE_NODE: (
                    Role.API_INGRESS,
                    Role.CONTROL_PLANE,
                    Role.HISTORY_PROJECTION,
                ),
                ProcessClass.SCHEDULER_NODE: (Role.SCHEDULER,),
                ProcessClass.MATCHING_NODE: (Role.MATCHING,),
                ProcessClass.EXECUTION_NODE: (Role.EXECUTION_PLANE,),
                ProcessClass.HISTORY_PROJECTION_NODE: (Role.HISTORY_PROJECTION,),
            }
        ),
    }
)

DEFAULT_SHAPE: Final = Shape.STANDALONE_SERVER
DEFAULT_CLASSES: Final[Mapping[Shape, ProcessClass]] = MappingProxyType(
    {
        Shape.EMBEDDED: ProcessClass.APPLICATION_PROCESS,
        Shape.STANDALONE_SERVER: ProcessClass.SERVER_HTTP_NODE,
        Shape.SPLIT_CONTROL_EXECUTION: ProcessClass.CONTROL_PLANE_NODE,
    }
)


def roles_of(shape: Shape, process_class: ProcessClass) -> Bundle:
    """Roles of a class in a shape; ``KeyError`` if the shape has no such class."""
    return BUNDLES[shape][process_class]

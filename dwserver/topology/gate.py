"""Whether this node may answer a hosted route itself.

Source: ``spec/topology-and-operations.md`` §2.1, ``decisions.md`` 2,
``architecture.md`` §5.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from enum import StrEnum
from types import MappingProxyType
from typing import Final

from dwserver.protocol.json_types import JsonObject
from dwserver.protocol.reasons import Reason
from dwserver.topology.identity import NodeIdentity
from dwserver.topology.shapes import Bundle, Role

# What every hosted route demands of a node that a client reaches directly.
HOSTED_ROUTE_ROLES: Final[Bundle] = (Role.API_INGRESS, Role.CONTROL_PLANE)


class RouteFamily(StrEnum):
    """Routes that belong to the same role."""

    CONTROL = "control"
    WORKER = "worker"
    HISTORY = "history"


# Roles that can answer a family, the preferred one first. Control has no second:
# operator commands fail fast without a control plane.
SERVING_ROLES: Final[Mapping[RouteFamily, Bundle]] = MappingProxyType(
    {
        RouteFamily.CONTROL: (Role.CONTROL_PLANE,),
        RouteFamily.WORKER: (Role.MATCHING, Role.CONTROL_PLANE),
        RouteFamily.HISTORY: (Role.HISTORY_PROJECTION, Role.CONTROL_PLANE),
    }
)


def missing_roles(required: Sequence[Role], current: Sequence[Role]) -> Bundle:
    """Required roles that ``current`` lacks, in the order of ``required``."""
    return tuple(role for role in required if role not in current)


def required_for_forwarded(family: RouteFamily, current: Sequence[Role]) -> Bundle:
    """What a request that an ingress forwarded demands of this node.

    One role that can answer the family is enough: the one this node hosts, or the
    preferred one when it hosts none.
    """
    serving = SERVING_ROLES[family]
    hosted = next((role for role in serving if role in current), serving[0])
    return (hosted,)


def role_unavailable(
    identity: NodeIdentity,
    missing: Sequence[Role],
    required: Sequence[Role] = HOSTED_ROUTE_ROLES,
) -> JsonObject:
    """Body of the 503 that refuses a route, before its plane's envelope."""
    return {
        "reason": Reason.TOPOLOGY_ROLE_UNAVAILABLE.value,
        "message": "The roles that this endpoint needs are not hosted by this node.",
        "current_shape": identity.shape.value,
        "current_process_class": identity.process_class.value,
        "current_roles": [role.value for role in identity.roles],
        "required_roles": [role.value for role in required],
        "missing_roles": [role.value for role in missing],
    }

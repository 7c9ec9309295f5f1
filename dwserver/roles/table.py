"""Every role with what it adds to a process."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

from dwserver.roles.api_ingress import API_INGRESS
from dwserver.roles.control_plane import CONTROL_PLANE
from dwserver.roles.execution import EXECUTION_PLANE
from dwserver.roles.history_projection import HISTORY_PROJECTION
from dwserver.roles.matching import MATCHING
from dwserver.roles.plug import RolePlug
from dwserver.roles.scheduler import SCHEDULER
from dwserver.topology.shapes import Role

PLUGS: Final[Mapping[Role, RolePlug]] = MappingProxyType(
    {
        Role.API_INGRESS: API_INGRESS,
        Role.CONTROL_PLANE: CONTROL_PLANE,
        Role.MATCHING: MATCHING,
        Role.HISTORY_PROJECTION: HISTORY_PROJECTION,
        Role.SCHEDULER: SCHEDULER,
        Role.EXECUTION_PLANE: EXECUTION_PLANE,
    }
)

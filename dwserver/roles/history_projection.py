"""The role ``history_projection``: histories, exports and run lists are read here.

========= ======================================================================
mounts    history reads and run lists
runs      nothing: what it reads is written by the transitions themselves
requires  the shared database, the server key
========= ======================================================================
"""

from __future__ import annotations

from typing import Final

from dwserver.roles.plug import Need, RolePlug
from dwserver.topology.gate import RouteFamily
from dwserver.topology.shapes import Role

HISTORY_PROJECTION: Final = RolePlug(
    role=Role.HISTORY_PROJECTION,
    mounts=(RouteFamily.HISTORY,),
    requires=frozenset({Need.SHARED_DATABASE, Need.SERVER_KEY}),
)

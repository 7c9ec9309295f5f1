"""The role ``api_ingress``: where clients come in.

========= ======================================================================
mounts    nothing of its own: it authenticates, checks versions, and passes on
          what no other role of the process answers
runs      the upkeep of the connections to the nodes that it passes requests to
requires  the shared database (who the other nodes are), the server key (by which
          they trust it)
readiness check ``peers``: warns while no node that hosts the control plane lives
          and can be reached
========= ======================================================================
"""

from __future__ import annotations

from typing import Final

from dwserver.protocol.json_types import JsonObject
from dwserver.roles.forwarding import ForwardingService
from dwserver.roles.plug import Need, Parts, RolePlug, Stage
from dwserver.runtime.service import Service
from dwserver.topology.peers import peers_hosting
from dwserver.topology.shapes import Role

CHECK: Final = "peers"


def _build(stage: Stage) -> Parts:
    background: tuple[Service, ...] = ()
    if stage.forwarder is not None:
        background = (
            ForwardingService(stage.forwarder, stage.host, metrics=stage.metrics),
        )
    if Role.CONTROL_PLANE in stage.identity.roles:
        return Parts(background=background)

    def check() -> JsonObject:
        hosting = peers_hosting(Role.CONTROL_PLANE, stage.core.membership.live())
        if not hosting:
            return {
                "status": "warning",
                "message": "No live node hosts the control plane.",
                "remediation": "Start a control_plane_node on the same database.",
            }
        away = stage.forwarder.connections.out_of_reach() if stage.forwarder else ()
        if all(peer.node_id in away for peer in hosting):
            return {
                "status": "warning",
                "message": "No node that hosts the control plane can be reached.",
                "remediation": "Check the network and the nodes' DW_INTERNAL_ADDRESS.",
            }
        return {"status": "ok"}

    return Parts(background=background, checks={CHECK: check})


API_INGRESS: Final = RolePlug(
    role=Role.API_INGRESS,
    requires=frozenset({Need.SHARED_DATABASE, Need.SERVER_KEY}),
    build=_build,
)

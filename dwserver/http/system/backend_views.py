"""``operator_metrics.backend``: what this node keeps its work in, and whether that will
do (``spec/topology-and-operations.md`` §4.3.12).

Tasks wait in the database and workers fetch them, so there is no queue besides, and
nothing that is configured here could be unfit: what is, keeps the node from booting.
"""

from __future__ import annotations

from typing import Final, TypedDict

from dwserver.engine.wire_time import micro
from dwserver.http.route_shape import JsonMap, MicroTime
from dwserver.protocol.json_types import JsonObject
from dwserver.protocol.manifests.limits import structural_limits_block
from dwserver.protocol.payloads.records import AVRO_CODEC
from dwserver.services.operator_metrics import MetricsFacts

SQLITE: Final = "sqlite"
ONE_PROCESS: Final[JsonObject] = {
    "component": "structural_limits",
    "severity": "info",
    "code": "sqlite_concurrency_note",
    "message": "SQLite serves one process, which writes one transaction at a time.",
}


def backend_view(node: MetricsFacts, *, now: int) -> JsonObject:
    """``now``: epoch microseconds."""
    issues = [ONE_PROCESS] if node.database_driver == SQLITE else []
    limits = structural_limits_block(node.structural_limits)
    return {
        "generated_at": micro(now),
        "readiness_contract": {"version": 1, "release_state": "v2_final_contract"},
        "supported": True,
        "severity": "info" if issues else "ok",
        "issues": issues,
        "database": {
            "connection": node.database_driver,
            "driver": node.database_driver,
            "supported": True,
            "capabilities": {
                "transactions": True,
                "after_commit_callbacks": True,
                "durable_ordering": True,
                "row_locks": node.database_driver != SQLITE,
            },
            "issues": [],
        },
        "queue": {
            "connection": "database",
            "driver": "database",
            "supported": True,
            "capabilities": {
                "async_delivery": True,
                "delayed_delivery": True,
                "requires_worker": True,
                "max_delay_seconds": None,
                "after_commit_option": True,
            },
            "issues": [],
        },
        "cache": {
            "store": node.cache_store,
            "driver": node.cache_store,
            "supported": True,
            "capabilities": {"atomic_locks": True},
            "issues": [],
        },
        "codec": {
            "configured": AVRO_CODEC,
            "configured_canonical": AVRO_CODEC,
            "canonical": AVRO_CODEC,
            "universal": True,
            "configured_universal": True,
            "supported": True,
            "issues": [],
        },
        "structural_limits": {
            "configured": limits,
            "backend_adjustments": [],
            "effective": limits,
            "issues": issues,
        },
    }


class BackendBlock(TypedDict):
    """The last five have ``supported`` and ``issues``, and what they are."""

    generated_at: MicroTime
    readiness_contract: JsonMap
    supported: bool
    severity: str
    issues: list[JsonMap]
    database: JsonMap
    queue: JsonMap
    cache: JsonMap
    codec: JsonMap
    structural_limits: JsonMap

"""``operator_metrics.backend``: what this node keeps its work in, and whether that will
do (``spec/topology-and-operations.md`` §4.3.12).

Tasks wait in the database and workers fetch them, so there is no queue besides. What is
configured for a node that runs cannot be unfit: it would not have booted. What else may
be wrong is found by ``dwserver doctor`` (``dwserver/roles/doctor.py``).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Final, TypedDict

from dwserver.engine.wire_time import micro
from dwserver.http.route_shape import JsonMap, MicroTime
from dwserver.protocol.json_types import JsonObject
from dwserver.protocol.manifests.limits import StructuralLimits, structural_limits_block
from dwserver.protocol.payloads.records import AVRO_CODEC, KNOWN_CODECS

SQLITE: Final = "sqlite"


class Severity(StrEnum):
    """The worst is the last; only an error makes a backend unsupported."""

    OK = "ok"
    INFO = "info"
    WARNING = "warning"
    ERROR = "error"


class Component(StrEnum):
    """What an issue is about; the first five are blocks of the view."""

    DATABASE = "database"
    QUEUE = "queue"
    CACHE = "cache"
    CODEC = "codec"
    STRUCTURAL_LIMITS = "structural_limits"
    TOPOLOGY = "topology"
    CONFIGURATION = "configuration"


_RANKS: Final = list(Severity)


@dataclass(frozen=True, slots=True)
class Issue:
    """``code`` is for programs, ``message`` for people; neither shows a secret."""

    component: Component
    severity: Severity
    code: str
    message: str

    @property
    def is_error(self) -> bool:
        return self.severity is Severity.ERROR

    def view(self) -> JsonObject:
        return {
            "component": self.component.value,
            "severity": self.severity.value,
            "code": self.code,
            "message": self.message,
        }


ONE_PROCESS: Final = Issue(
    Component.STRUCTURAL_LIMITS,
    Severity.INFO,
    "sqlite_concurrency_note",
    "SQLite serves one process, which writes one transaction at a time.",
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Backend:
    """What a node is set to keep its work in."""

    database_driver: str
    cache_store: str
    structural_limits: StructuralLimits
    configured_codec: str = AVRO_CODEC


def backend_view(
    backend: Backend, *, now: int, found: Sequence[Issue] = ()
) -> JsonObject:
    """``now``: epoch microseconds. ``found``: issues besides those that follow from
    the settings."""
    is_sqlite = backend.database_driver == SQLITE
    issues = [*found, ONE_PROCESS] if is_sqlite else list(found)
    limits = structural_limits_block(backend.structural_limits)
    is_universal = backend.configured_codec in KNOWN_CODECS
    worst = max((_RANKS.index(issue.severity) for issue in issues), default=0)
    return {
        "generated_at": micro(now),
        "readiness_contract": {"version": 1, "release_state": "v2_final_contract"},
        "supported": not any(issue.is_error for issue in issues),
        "severity": _RANKS[worst].value,
        "issues": [issue.view() for issue in issues],
        "database": {
            "connection": backend.database_driver,
            "driver": backend.database_driver,
            "supported": _is_fit(Component.DATABASE, issues),
            "capabilities": {
                "transactions": True,
                "after_commit_callbacks": True,
                "durable_ordering": True,
                "row_locks": not is_sqlite,
            },
            "issues": _of(Component.DATABASE, issues),
        },
        "queue": {
            "connection": "database",
            "driver": "database",
            "supported": _is_fit(Component.QUEUE, issues),
            "capabilities": {
                "async_delivery": True,
                "delayed_delivery": True,
                "requires_worker": True,
                "max_delay_seconds": None,
                "after_commit_option": True,
            },
            "issues": _of(Component.QUEUE, issues),
        },
        "cache": {
            "store": backend.cache_store,
            "driver": backend.cache_store,
            "supported": _is_fit(Component.CACHE, issues),
            "capabilities": {"atomic_locks": True},
            "issues": _of(Component.CACHE, issues),
        },
        "codec": {
            "configured": backend.configured_codec,
            "configured_canonical": AVRO_CODEC,
            "canonical": AVRO_CODEC,
            "universal": True,
            "configured_universal": is_universal,
            "supported": _is_fit(Component.CODEC, issues),
            "issues": _of(Component.CODEC, issues),
        },
        "structural_limits": {
            "configured": limits,
            "backend_adjustments": [],
            "effective": limits,
            "issues": _of(Component.STRUCTURAL_LIMITS, issues),
        },
    }


def _of(component: Component, issues: Sequence[Issue]) -> list[JsonObject]:
    return [issue.view() for issue in issues if issue.component is component]


def _is_fit(component: Component, issues: Sequence[Issue]) -> bool:
    return not any(i.is_error for i in issues if i.component is component)


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

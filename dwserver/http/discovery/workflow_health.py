"""The rollup of the workflow health checks: readiness check ``workflow_v2`` and
``coordination_health`` of the discovery document.

Source: ``spec/topology-and-operations.md`` §1.11 and §3.3.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Final

from dwserver.engine.wire_time import micro_or_none
from dwserver.protocol.json_types import JsonObject
from dwserver.protocol.schemas import Schema

COORDINATION_HEALTH: Final = Schema(
    "durable-workflow.v2.coordination-health.contract", 2
)

_OK_HTTP_STATUS: Final = 200
_UNAVAILABLE_HTTP_STATUS: Final = 503


class HealthStatus(StrEnum):
    """States of a check, and with the last two of the whole, best first."""

    OK = "ok"
    WARNING = "warning"
    ERROR = "error"
    BLOCKED = "blocked"
    UNAVAILABLE = "unavailable"

    @property
    def is_serving(self) -> bool:
        return self in (HealthStatus.OK, HealthStatus.WARNING)


class HealthCategory(StrEnum):
    """Whether durable progress depends on it, or only its speed."""

    CORRECTNESS = "correctness"
    ACCELERATION = "acceleration"


@dataclass(frozen=True, slots=True)
class HealthCheck:
    """One finding about the workflow engine; status up to ``error``."""

    name: str
    status: HealthStatus
    category: HealthCategory = HealthCategory.CORRECTNESS
    message: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkflowHealth:
    """``generated_at`` in epoch microseconds, ``None`` when nothing was evaluated."""

    status: HealthStatus
    generated_at: int | None = None
    checks: tuple[HealthCheck, ...] = ()
    blocked_by: tuple[str, ...] = ()
    message: str | None = None
    remediation: str | None = field(default=None)

    def body(self) -> JsonObject:
        """The readiness check ``workflow_v2``; absent details are left out."""
        serving = self.status.is_serving
        body: JsonObject = {
            "status": self.status.value,
            "generated_at": micro_or_none(self.generated_at),
            "http_status": _OK_HTTP_STATUS if serving else _UNAVAILABLE_HTTP_STATUS,
            "categories": _categories(self.checks),
            "warning_checks": self._names(HealthStatus.WARNING),
            "error_checks": self._names(HealthStatus.ERROR),
            "checks": [
                {
                    "name": check.name,
                    "status": check.status.value,
                    "category": check.category.value,
                    "message": check.message,
                }
                for check in self.checks
            ],
        }
        if self.blocked_by:
            body["blocked_by"] = list(self.blocked_by)
        if self.message is not None:
            body["message"] = self.message
        if self.remediation is not None:
            body["remediation"] = self.remediation
        return body

    def coordination_health(self, routing_drains: JsonObject) -> JsonObject:
        """The contract (v2) that discovery publishes."""
        own = self.body()
        optional: JsonObject = {
            key: own.pop(key)
            for key in ("blocked_by", "message", "remediation")
            if key in own
        }
        return {
            **COORDINATION_HEALTH.identity(),
            "namespace_scope": "all_namespaces",
            **own,
            "routing_drains": routing_drains,
            **optional,
        }

    def _names(self, status: HealthStatus) -> list[str]:
        return [check.name for check in self.checks if check.status is status]


def rolled_up(checks: Sequence[HealthCheck], generated_at: int) -> WorkflowHealth:
    """The whole is as bad as its worst check."""
    return WorkflowHealth(
        status=_worst(checks), generated_at=generated_at, checks=tuple(checks)
    )


def _worst(checks: Sequence[HealthCheck]) -> HealthStatus:
    order = list(HealthStatus)
    return max(
        (check.status for check in checks), key=order.index, default=HealthStatus.OK
    )


def _categories(checks: Sequence[HealthCheck]) -> JsonObject:
    categories: JsonObject = {}
    for category in HealthCategory:
        members = [check for check in checks if check.category is category]
        categories[category.value] = {
            "status": _worst(members).value,
            "check_count": len(members),
        }
    return categories

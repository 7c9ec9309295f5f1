"""Protocol headers, versions, their negotiation, and what each version adds.

Source: ``decisions.md`` 1 and 9, ``spec/control-plane-api.md`` §1.4,
``spec/worker-protocol.md`` §1 and §12, ``spec/client-compatibility.md`` §2.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from types import MappingProxyType
from typing import Final, NamedTuple, TypeAlias

from dwserver.protocol.json_types import JsonObject
from dwserver.protocol.reasons import Reason

CONTROL_PLANE_HEADER: Final = "X-Durable-Workflow-Control-Plane-Version"
WORKER_PROTOCOL_HEADER: Final = "X-Durable-Workflow-Protocol-Version"
NAMESPACE_HEADER: Final = "X-Namespace"

CONTROL_PLANE_VERSION: Final = "2"

# No leading zeros: two spellings of one version would defeat clients that
# compare the echoed header with what they sent.
_WORKER_VERSION_PATTERN: Final = re.compile(r"(0|[1-9]\d{0,3})\.(0|[1-9]\d{0,3})")


class Feature(StrEnum):
    """Something a worker-protocol version brought."""

    VALUE_FRAMING = "value_framing"
    QUERY_CAPABILITY = "query_capability"
    QUERY_POLL_IDEMPOTENCY = "query_poll_idempotency"
    TYPED_SEARCH_ATTRIBUTES = "typed_search_attributes"
    SIGNAL_WAITS = "signal_waits"
    FAILURE_EXCEPTION = "failure_exception"
    ZERO_SECOND_POLLS = "zero_second_polls"
    UPDATE_VALIDATION = "update_validation"
    SERVICE_OPERATIONS = "service_operations"
    MESSAGE_STREAMS = "message_streams"
    UPSERT_MEMO = "upsert_memo"
    LOCAL_ACTIVITIES = "local_activities"
    SELECTION_CANCELLATION = "selection_cancellation"
    COOPERATIVE_CANCELLATION = "cooperative_cancellation"
    QUERY_AUTHORITY = "query_authority"
    ACTIVITY_LEASE_RENEWAL = "activity_lease_renewal"


# The only place that says which minor of major 1 brought what.
FIRST_MINOR: Final[Mapping[Feature, int]] = MappingProxyType(
    {
        Feature.VALUE_FRAMING: 2,
        Feature.QUERY_CAPABILITY: 6,
        Feature.QUERY_POLL_IDEMPOTENCY: 7,
        Feature.TYPED_SEARCH_ATTRIBUTES: 8,
        Feature.SIGNAL_WAITS: 9,
        Feature.FAILURE_EXCEPTION: 10,
        Feature.ZERO_SECOND_POLLS: 12,
        Feature.UPDATE_VALIDATION: 13,
        Feature.SERVICE_OPERATIONS: 13,
        Feature.MESSAGE_STREAMS: 15,
        Feature.UPSERT_MEMO: 16,
        Feature.LOCAL_ACTIVITIES: 18,
        Feature.SELECTION_CANCELLATION: 19,
        Feature.COOPERATIVE_CANCELLATION: 20,
        Feature.QUERY_AUTHORITY: 20,
        Feature.ACTIVITY_LEASE_RENEWAL: 20,
    }
)


class WorkerVersion(NamedTuple):
    """A worker-protocol version ``major.minor``; ordered."""

    major: int
    minor: int

    @classmethod
    def parse(cls, text: str) -> WorkerVersion | None:
        """Read ``"1.20"``; ``None`` when ``text`` is not two plain integers."""
        match = _WORKER_VERSION_PATTERN.fullmatch(text)
        if match is None:
            return None
        return cls(int(match[1]), int(match[2]))

    def supports(self, feature: Feature) -> bool:
        """Whether a peer that speaks this version knows ``feature``."""
        return self.minor >= FIRST_MINOR[feature]

    def __str__(self) -> str:
        return f"{self.major}.{self.minor}"


OLDEST_WORKER_VERSION: Final = WorkerVersion(1, 0)
NEWEST_WORKER_VERSION: Final = WorkerVersion(1, 20)
DEFAULT_WORKER_VERSION: Final = NEWEST_WORKER_VERSION

SUPPORTED_WORKER_VERSIONS: Final[Mapping[str, WorkerVersion]] = MappingProxyType(
    {
        str(version): version
        for version in (
            WorkerVersion(OLDEST_WORKER_VERSION.major, minor)
            for minor in range(
                OLDEST_WORKER_VERSION.minor, NEWEST_WORKER_VERSION.minor + 1
            )
        )
    }
)


@dataclass(frozen=True, slots=True)
class VersionRefusal:
    """Why a version header was refused (HTTP 400).

    ``requested`` is the trimmed header, ``None`` when it was missing or blank.
    """

    reason: Reason
    message: str
    supported: str
    requested: str | None
    remediation: str

    def fields(self) -> JsonObject:
        """Body fields beside the human text, in wire order."""
        return {
            "reason": self.reason.value,
            "supported_version": self.supported,
            "requested_version": self.requested,
            "remediation": self.remediation,
        }


WorkerNegotiation: TypeAlias = WorkerVersion | VersionRefusal


def negotiate_worker_version(
    requested: str | None, advertised: WorkerVersion
) -> WorkerNegotiation:
    """Accept ``1.M`` with ``M`` up to the advertised minor.

    ``requested`` is the raw header value. The result is the version to speak,
    or a refusal: ``missing_protocol_version`` for an absent or blank header,
    ``unsupported_protocol_version`` for a malformed, newer or foreign one.
    """
    version = SUPPORTED_WORKER_VERSIONS.get(requested) if requested else None
    if version is None and requested:
        requested = requested.strip()
        version = SUPPORTED_WORKER_VERSIONS.get(requested)
    if version is not None and version <= advertised:
        return version
    if not requested:
        return VersionRefusal(
            reason=Reason.MISSING_PROTOCOL_VERSION,
            message="Missing worker protocol version header.",
            supported=str(advertised),
            requested=None,
            remediation=(
                f"Add the header {WORKER_PROTOCOL_HEADER}: {advertised} "
                "to every worker request."
            ),
        )
    return VersionRefusal(
        reason=Reason.UNSUPPORTED_PROTOCOL_VERSION,
        message="Unsupported worker protocol version.",
        supported=str(advertised),
        requested=requested,
        remediation=(
            f"This server speaks worker protocol {OLDEST_WORKER_VERSION} to "
            f"{advertised}; {requested} is outside that range. Use a worker release "
            "within it, or a server that advertises a newer version."
        ),
    )


def check_control_plane_version(requested: str | None) -> VersionRefusal | None:
    """``None`` when the header is ``2``, else the refusal to answer with."""
    if requested == CONTROL_PLANE_VERSION:
        return None
    requested = (requested or "").strip()
    if requested == CONTROL_PLANE_VERSION:
        return None
    remediation = (
        f"Add the header {CONTROL_PLANE_HEADER}: {CONTROL_PLANE_VERSION} "
        "to every control-plane request."
    )
    if not requested:
        return VersionRefusal(
            reason=Reason.MISSING_CONTROL_PLANE_VERSION,
            message="Missing control-plane version header.",
            supported=CONTROL_PLANE_VERSION,
            requested=None,
            remediation=remediation,
        )
    return VersionRefusal(
        reason=Reason.UNSUPPORTED_CONTROL_PLANE_VERSION,
        message="Unsupported control-plane version.",
        supported=CONTROL_PLANE_VERSION,
        requested=requested,
        remediation=remediation,
    )

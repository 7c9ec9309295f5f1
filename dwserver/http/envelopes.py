"""What each plane adds to the body and the headers of every answer.

Source: ``spec/control-plane-api.md`` §1.1 and §4, ``spec/worker-protocol.md`` §1, §2.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

import orjson
from aiohttp import hdrs

from dwserver.http.answer import header_lines
from dwserver.protocol.capabilities import WorkingFeatures, serialize_capabilities
from dwserver.protocol.control_plane import (
    CONTRACTS,
    Operation,
    attach_envelope,
    envelope,
)
from dwserver.protocol.json_types import JsonObject, JsonValue
from dwserver.protocol.versions import (
    CONTROL_PLANE_HEADER,
    CONTROL_PLANE_VERSION,
    SUPPORTED_WORKER_VERSIONS,
    WORKER_PROTOCOL_HEADER,
    WorkerVersion,
)

_COMMON_HEADERS: Final[dict[str, str]] = {
    hdrs.CACHE_CONTROL: "no-cache, private",
    hdrs.ACCESS_CONTROL_ALLOW_ORIGIN: "*",
    hdrs.SERVER: "dwserver",
}

JSON_LINE: Final = header_lines({"Content-Type": "application/json"})
"""Of every answer that has a body."""

DISCOVERY_LINES: Final = header_lines(_COMMON_HEADERS)
CONTROL_LINES: Final = header_lines(
    {**_COMMON_HEADERS, CONTROL_PLANE_HEADER: CONTROL_PLANE_VERSION}
)


@dataclass(frozen=True, slots=True)
class _Spoken:
    lines: bytes
    members: bytes


class WorkerEnvelope:
    """Protocol version and capabilities, serialised once per version that a worker
    may speak. ``None`` stands for a request whose version is not accepted (yet)."""

    def __init__(self, features: WorkingFeatures, advertised: WorkerVersion) -> None:
        self._spoken: dict[WorkerVersion | None, _Spoken] = {
            version: _spoken(features, version)
            for version in SUPPORTED_WORKER_VERSIONS.values()
            if version <= advertised
        }
        self._spoken[None] = _spoken(features, advertised)

    def lines(self, version: WorkerVersion | None) -> bytes:
        """The headers of every answer."""
        return self._spoken[version].lines

    def wrap(self, body: JsonObject | bytes, version: WorkerVersion | None) -> bytes:
        """The JSON text of ``body`` with the members of the plane behind its own."""
        return joined(body, self._spoken[version].members)


def _spoken(features: WorkingFeatures, version: WorkerVersion) -> _Spoken:
    lines = header_lines({**_COMMON_HEADERS, WORKER_PROTOCOL_HEADER: str(version)})
    capabilities = serialize_capabilities(features, version)
    return _Spoken(
        lines,
        b'"protocol_version":"%s","server_capabilities":%s'
        % (str(version).encode(), capabilities),
    )


@dataclass(frozen=True, slots=True)
class ControlEnvelope:
    """The nested ``control_plane`` object of one workflow operation."""

    operation: Operation

    def wrap(
        self,
        body: JsonObject | bytes,
        params: Mapping[str, str],
        projected: Mapping[str, JsonValue],
    ) -> bytes:
        """The JSON text of the answer; ids of the path are added where missing.

        ``projected`` are members of a bytes body, which is not parsed again.
        """
        workflow_id, run_id = params.get("workflow_id"), params.get("run_id")
        name = self._operation_name(params)
        if not isinstance(body, bytes):
            attached = attach_envelope(
                body, self.operation, name, workflow_id=workflow_id, run_id=run_id
            )
            return orjson.dumps(attached)
        known: JsonObject = {**projected}
        added: JsonObject = {}
        for key, value in (("workflow_id", workflow_id), ("run_id", run_id)):
            if value is not None and key not in known:
                added[key] = value
        nested = envelope(self.operation, name, {**known, **added})
        return joined(body, orjson.dumps({**added, "control_plane": nested})[1:-1])

    def _operation_name(self, params: Mapping[str, str]) -> str | None:
        field = CONTRACTS[self.operation].operation_name_field
        return None if field is None else params.get(field)


def joined(body: JsonObject | bytes, members: bytes) -> bytes:
    """The JSON text of an object with ``members`` (JSON text too) at its end."""
    text = body if isinstance(body, bytes) else orjson.dumps(body)
    if text == b"{}":
        return b"{%s}" % members
    return b"%s,%s}" % (text[:-1], members)

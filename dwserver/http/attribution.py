"""Who gave a command, from where: the context that is stored with it.

Source: ``spec/control-plane-api.md`` §9. Nothing here decides anything, and nothing
of it is shown in the answer to the command.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, Protocol

import orjson
from aiohttp import hdrs

from dwserver.http.auth.principal import AuthMethod, Principal
from dwserver.http.observation import REQUEST_ID_HEADER
from dwserver.http.origin import Origin
from dwserver.http.request import Request
from dwserver.http.text import valid_text
from dwserver.protocol.json_types import JsonObject, JsonValue

CORRELATION_ID_HEADER: Final = "X-Correlation-Id"
# Stands for the id of a workflow that the server is yet to name.
PENDING_WORKFLOW_ID: Final = "pending"

_CALLER_TYPE: Final = "server"
_CALLER_LABEL: Final = "Standalone Server"
_NOT_CONFIGURED: Final = "not_configured"
_AUTHORIZED: Final = "authorized"


@dataclass(frozen=True, slots=True, kw_only=True)
class ForwardedHeaders:
    """Headers in which a trusted gateway says who its caller is."""

    caller_type: str = "X-Workflow-Caller-Type"
    caller_label: str = "X-Workflow-Caller-Label"
    auth_status: str = "X-Workflow-Auth-Status"
    auth_method: str = "X-Workflow-Auth-Method"


class Attributable(Protocol):
    """What is looked at of a request that passed the checks."""

    @property
    def request(self) -> Request: ...
    @property
    def principal(self) -> Principal: ...
    @property
    def namespace(self) -> str: ...
    @property
    def body(self) -> JsonValue: ...
    @property
    def origin(self) -> Origin | None: ...


class Attribution:
    """Builds command contexts; ``trusted`` is ``None`` without a gateway."""

    def __init__(self, trusted: ForwardedHeaders | None = None) -> None:
        self._trusted = trusted

    def context(
        self,
        call: Attributable,
        command: str,
        metadata: Mapping[str, JsonValue],
        *,
        workflow_id: str | None = None,
    ) -> JsonObject:
        """The context of ``command``; nulls of ``metadata`` are left out."""
        return {
            "caller": self._caller(call),
            "auth": self._auth(call),
            "request": _request(call),
            "server": {
                "namespace": call.namespace,
                "workflow_id": workflow_id or PENDING_WORKFLOW_ID,
                "command": command,
                "metadata": {k: v for k, v in metadata.items() if v is not None},
            },
        }

    def _caller(self, call: Attributable) -> JsonObject:
        names = self._trusted
        return {
            "type": (names and _header(call, names.caller_type)) or _CALLER_TYPE,
            "label": (names and _header(call, names.caller_label)) or _CALLER_LABEL,
        }

    def _auth(self, call: Attributable) -> JsonObject:
        principal, names = call.principal, self._trusted
        is_anonymous = principal.method == AuthMethod.NONE
        status = _NOT_CONFIGURED if is_anonymous else _AUTHORIZED
        return {
            "status": (names and _header(call, names.auth_status)) or status,
            "method": (names and _header(call, names.auth_method))
            or str(principal.method),
            "role": principal.primary_role,
            "roles": list(principal.roles),
            "principal": principal.audit_form(),
        }


NO_GATEWAY: Final = Attribution()


def _request(call: Attributable) -> JsonObject:
    request = call.request
    ids = {
        "x_request_id": _header(call, REQUEST_ID_HEADER),
        "x_correlation_id": _header(call, CORRELATION_ID_HEADER),
    }
    headers = {name: value for name, value in ids.items() if value}
    block: JsonObject = {
        "method": request.method,
        "path": valid_text(request.path),
        "ip": request.remote if call.origin is None else call.origin.address,
        "user_agent": _header(call, hdrs.USER_AGENT),
        "request_id": headers.get("x_request_id"),
        "correlation_id": headers.get("x_correlation_id"),
        "fingerprint": _fingerprint(call, headers),
        "headers": headers,
    }
    return {key: value for key, value in block.items() if value}


def _fingerprint(call: Attributable, headers: JsonObject) -> str | None:
    """The same for a request that is sent again, whatever the order of its keys; None
    for one with an ignored field that is nested too deeply to be written."""
    document = {
        "method": call.request.method,
        "path": valid_text(call.request.path),
        "payload": call.body,
        "headers": headers,
    }
    try:
        text = orjson.dumps(document, option=orjson.OPT_SORT_KEYS)
    except orjson.JSONEncodeError:
        return None
    return f"sha256:{hashlib.sha256(text).hexdigest()}"


def _header(call: Attributable, name: str) -> str | None:
    """The trimmed header, ``None`` when it is absent or blank."""
    value = call.request.headers.get(name)
    return valid_text(value).strip() or None if value else None

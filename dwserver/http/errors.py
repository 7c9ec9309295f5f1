"""Refusals that any request can meet, and the body of a refusal.

Source: ``spec/control-plane-api.md`` §1.3, §1.4 and §3, ``spec/worker-protocol.md``
§2. Statuses come from the reason table.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from aiohttp import hdrs

from dwserver.http.auth.principal import Principal
from dwserver.http.call import Refusal
from dwserver.protocol.json_types import JsonObject, JsonValue
from dwserver.protocol.reasons import Plane, Reason, status_of
from dwserver.protocol.validation import Errors, validation_message
from dwserver.protocol.versions import VersionRefusal
from dwserver.topology.gate import missing_roles, role_unavailable
from dwserver.topology.identity import NodeIdentity
from dwserver.topology.shapes import Bundle

RETRY_AFTER_SECONDS: Final = 1


def refuse(reason: Reason, plane: Plane, message: str, **fields: JsonValue) -> Refusal:
    """A refusal with the usual status of ``reason`` on ``plane``."""
    return Refusal(status_of(reason, plane), reason.value, message, **fields)


def body_of(refusal: Refusal, plane: Plane) -> JsonObject:
    """Members of the answer before the envelope. Workers read ``error`` as well."""
    body: JsonObject = {"message": refusal.message, "reason": refusal.reason}
    if plane is Plane.WORKER:
        body["error"] = refusal.message
    body.update(refusal.fields)
    return body


def invalid_fields(errors: Errors) -> Refusal:
    """422 for fields that break their rules; ``errors`` must not be empty."""
    return Refusal(
        status_of(Reason.VALIDATION_FAILED, Plane.CONTROL),
        Reason.VALIDATION_FAILED.value,
        validation_message(errors),
        errors=errors,
        validation_errors=errors,
    )


def not_found(plane: Plane, path: str) -> Refusal:
    shown = path.strip("/") or "/"
    return refuse(Reason.NOT_FOUND, plane, f"The route {shown} could not be found.")


def method_not_allowed(
    plane: Plane, path: str, *, method: str, supported: Sequence[str]
) -> Refusal:
    methods = ", ".join(supported)
    refusal = refuse(
        Reason.METHOD_NOT_ALLOWED,
        plane,
        f"{path.strip('/')} does not take {method}. Supported methods: {methods}.",
    )
    refusal.headers = {hdrs.ALLOW: methods}
    return refusal


def payload_too_large(plane: Plane, limit: int) -> Refusal:
    return refuse(
        Reason.PAYLOAD_TOO_LARGE,
        plane,
        f"The request body is larger than {limit} bytes.",
        limit=limit,
    )


def bundle_crowded_out(plane: Plane) -> Refusal:
    refusal = refuse(
        Reason.EMBEDDED_V2_IMPORT_UNAVAILABLE,
        plane,
        "This node is taking another bundle; send this one again when that is done.",
    )
    refusal.headers = {hdrs.RETRY_AFTER: str(RETRY_AFTER_SECONDS)}
    return refusal


def unsupported_media_type(plane: Plane) -> Refusal:
    return refuse(
        Reason.UNSUPPORTED_MEDIA_TYPE,
        plane,
        "Request bodies must use a JSON media type.",
        accepted_content_types=["application/json", "application/*+json"],
    )


def malformed_request(plane: Plane) -> Refusal:
    return refuse(
        Reason.MALFORMED_REQUEST,
        plane,
        "These bytes are no HTTP request, or a line of its head is too long.",
    )


def malformed_json(plane: Plane, json_error: str) -> Refusal:
    return refuse(
        Reason.MALFORMED_JSON,
        plane,
        "Request bodies must contain valid JSON.",
        json_error=json_error or "not JSON",
    )


def unauthorized(plane: Plane, message: str) -> Refusal:
    return refuse(Reason.UNAUTHORIZED, plane, message)


def misconfigured(plane: Plane, message: str) -> Refusal:
    return refuse(Reason.SERVER_ERROR, plane, message)


def forbidden(plane: Plane, principal: Principal, allowed: Sequence[str]) -> Refusal:
    refusal = refuse(
        Reason.FORBIDDEN,
        plane,
        "Authenticated role is not allowed to access this endpoint.",
    )
    if principal.primary_role is not None:
        refusal.fields["role"] = principal.primary_role
    refusal.fields["allowed_roles"] = [str(role) for role in allowed]
    return refusal


def version_refused(plane: Plane, refused: VersionRefusal) -> Refusal:
    fields = refused.fields()
    del fields["reason"]
    return refuse(refused.reason, plane, refused.message, **fields)


def role_not_hosted(plane: Plane, identity: NodeIdentity, required: Bundle) -> Refusal:
    missing = missing_roles(required, identity.roles)
    fields = role_unavailable(identity, missing, required)
    reason, message = Reason(fields.pop("reason")), fields.pop("message")
    return refuse(reason, plane, message, **fields)


def bootstrap_blocked(plane: Plane, blocked_by: Sequence[str]) -> Refusal:
    return refuse(
        Reason.WORKFLOW_V2_BLOCKED,
        plane,
        "Workflow requests are refused until this node's bootstrap is complete.",
        blocked_by=list(blocked_by),
        remediation="Run dwserver bootstrap against this database, then look at "
        "GET /api/ready.",
    )


def namespace_not_found(plane: Plane, name: str) -> Refusal:
    return refuse(
        Reason.NAMESPACE_NOT_FOUND,
        plane,
        f"Namespace '{name}' does not exist.",
        namespace=name,
        remediation="Create it with POST /api/namespaces, or name an existing one "
        "in the X-Namespace header.",
    )


def backend_unavailable(plane: Plane, error_id: str) -> Refusal:
    return _try_again(
        Reason.BACKEND_UNAVAILABLE,
        plane,
        "The database does not answer. Repeat the request.",
        error_id=error_id,
    )


def backend_contended(plane: Plane, error_id: str, *, driver: str) -> Refusal:
    return _try_again(
        Reason.BACKEND_LOCK_PRESSURE,
        plane,
        "Too many requests change the same rows. Repeat the request.",
        backend={"driver": driver, "lock_pressure": True},
        error_id=error_id,
    )


def peer_lost(plane: Plane, error_id: str) -> Refusal:
    """A node took the request and did not answer."""
    return _try_again(
        Reason.BACKEND_UNAVAILABLE,
        plane,
        "The node that was to answer broke off or stayed silent. What was asked may "
        "have been done. Repeat the request.",
        error_id=error_id,
    )


def peers_busy(plane: Plane, error_id: str) -> Refusal:
    return _try_again(
        Reason.BACKEND_UNAVAILABLE,
        plane,
        "The nodes that can answer are taken up. Nothing was done. Repeat the request.",
        error_id=error_id,
    )


def too_many_polls(plane: Plane, error_id: str) -> Refusal:
    return _try_again(
        Reason.LONG_POLL_CAPACITY_EXHAUSTED,
        plane,
        "Too many long polls are waiting. Repeat the request later.",
        error_id=error_id,
    )


def _try_again(
    reason: Reason, plane: Plane, message: str, **fields: JsonValue
) -> Refusal:
    refusal = refuse(
        reason,
        plane,
        message,
        retryable=True,
        retry_after_seconds=RETRY_AFTER_SECONDS,
        **fields,
    )
    refusal.headers = {hdrs.RETRY_AFTER: str(RETRY_AFTER_SECONDS)}
    return refusal


def unexpected(plane: Plane, error_id: str) -> Refusal:
    """500 for a defect of ours; the log has the rest under the same id."""
    is_worker = plane is Plane.WORKER
    return refuse(
        Reason.SERVER_ERROR if is_worker else Reason.CONTROL_PLANE_INTERNAL_ERROR,
        plane,
        "The server failed to answer this request.",
        retryable=False,
        error_id=error_id,
    )

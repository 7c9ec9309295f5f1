"""The signed header by which a node knows that an ingress has let a request in.

Source: ``architecture.md`` §5. The header names the authenticated principal and the
client behind the ingress. The signature covers it together with everything that
decides what the request does: method, target, namespace and body. A header that was
seen on the wire therefore opens nothing but the same request again, and only as long
as it is fresh.
"""

from __future__ import annotations

import hmac
from binascii import Error as BadBase64
from binascii import a2b_base64, b2a_base64
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Final

import orjson
from multidict import istr

from dwserver.engine.records import quick_init
from dwserver.http.auth.principal import Principal
from dwserver.http.origin import Origin

FORWARDED_HEADER: Final = istr("X-Durable-Workflow-Forwarded")

REFUSED: Final = "refused"
"""Under the same name in an answer: this node does nothing for that request, because
of whom it came through or where it came to. Another node may be asked."""

LIFETIME: Final = 60 * 1_000_000
"""Microseconds for which a header is good, by the clocks of both nodes."""

MAX_BYTES: Final = 8000
"""What fits in one header of a request."""

HOPS: Final = 1
"""How often a request is passed on."""

_FORMAT: Final = "1"
_PURPOSE: Final = b"dwserver forwarded request"
_DIGEST: Final = "sha256"
# The same few principals send from the same few addresses.
_KNOWN_PAYLOADS: Final = 1024


class CredentialTooLarge(ValueError):
    """The principal does not fit in a header."""


@quick_init
@dataclass(frozen=True, slots=True, kw_only=True)
class Signed:
    """What the signature covers of a request. ``target`` is the request line's, path
    and query string; ``namespace`` the one that the request means."""

    method: str
    target: str
    namespace: str
    body: bytes


@quick_init
@dataclass(frozen=True, slots=True, kw_only=True)
class Forwarded:
    """What a good header says: who sends the request, and from where."""

    principal: Principal
    origin: Origin


def forwarding_key(server_key: str) -> bytes:
    """The key of these headers, which opens nothing else that the server's key does."""
    return hmac.digest(server_key.encode(), _PURPOSE, _DIGEST)


def sign(
    key: bytes,
    request: Signed,
    *,
    principal: Principal,
    origin: Origin,
    issued_at: int,
) -> str:
    """The header's value. :class:`CredentialTooLarge` for a principal whose claims
    fit in no header."""
    claims = {
        "subject": principal.subject,
        "roles": principal.roles,
        "method": principal.method,
        "tenant": principal.tenant,
        "claims": dict(principal.claims),
        "full": principal.has_full_access,
        "address": origin.address,
        "scheme": origin.scheme,
        "hops": HOPS,
    }
    payload = b2a_base64(orjson.dumps(claims), newline=False).decode()
    signed = f"{_FORMAT} {issued_at} {origin.request_id} {payload}"
    if len(signed) > MAX_BYTES:
        raise CredentialTooLarge(f"the principal takes {len(payload)} bytes")
    return f"{signed} {_signature(key, signed, request)}"


def verify(key: bytes, value: str, request: Signed, *, now: int) -> Forwarded | None:
    """What the header says; ``None`` when it was not signed with ``key`` for this
    request, when it has expired, or is from too far ahead."""
    signed, _, signature = value.rpartition(" ")
    if not value.isascii() or not hmac.compare_digest(
        signature, _signature(key, signed, request)
    ):
        return None
    # Only nodes know the key, so the parts are there.
    version, issued_at, request_id, payload = signed.split(" ")
    if version != _FORMAT or abs(now - int(issued_at)) > LIFETIME:
        return None
    found = _read(payload)
    if found is None:
        return None
    principal, address, scheme = found
    origin = Origin(address=address, scheme=scheme, request_id=request_id)
    return Forwarded(principal=principal, origin=origin)


def _signature(key: bytes, signed: str, request: Signed) -> str:
    # The namespace alone can hold a line feed (from the query string): its length
    # says where it ends.
    name = request.namespace
    head = f"{request.method}\n{request.target}\n{len(name)}\n{name}\n{signed}\n"
    text = head.encode("utf-8", "surrogateescape") + request.body
    return hmac.digest(key, text, _DIGEST).hex()


@lru_cache(maxsize=_KNOWN_PAYLOADS)
def _read(payload: str) -> tuple[Principal, str | None, str] | None:
    """Principal, address and scheme; ``None`` for what another build has written, or
    what was passed on before."""
    try:
        claims: Any = orjson.loads(a2b_base64(payload))
        if claims["hops"] > HOPS:
            return None
        principal = Principal(
            subject=claims["subject"],
            roles=tuple(claims["roles"]),
            method=claims["method"],
            tenant=claims["tenant"],
            claims=claims["claims"],
            has_full_access=claims["full"],
        )
        return principal, claims["address"], claims["scheme"]
    except (BadBase64, orjson.JSONDecodeError, KeyError, TypeError):
        return None

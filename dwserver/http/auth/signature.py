"""HMAC signatures of the request body (``spec/control-plane-api.md`` §3.2)."""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Mapping
from typing import Final

from dwserver.http.auth.authenticator import (
    AuthMisconfigured,
    AuthState,
    AuthStatus,
    Credentials,
    Unauthenticated,
    candidates,
)
from dwserver.http.auth.principal import AuthMethod, Principal

SIGNATURE_HEADER: Final = "X-Signature"


class SignatureAuthenticator:
    """``X-Signature`` is the lower-case hex HMAC-SHA256 of the raw body."""

    def __init__(self, credentials: Credentials) -> None:
        found = candidates(credentials, AuthMethod.SIGNATURE)
        # From the last to the first, so that the first one that fits is kept.
        self._candidates = tuple(reversed(found))

    def authenticate(self, headers: Mapping[str, str], body: bytes) -> Principal:
        if not self._candidates:
            raise AuthMisconfigured(
                'Auth driver is set to "signature" but DW_SIGNATURE_KEY is not '
                "configured."
            )
        header = headers.get(SIGNATURE_HEADER, "")
        if not header:
            raise Unauthenticated("Missing request signature.")
        # Digests are all of one length, whatever was sent.
        signature = header.encode("utf-8", "surrogateescape")
        digest = hashlib.sha256(signature).digest()
        found: Principal | None = None
        for key, principal in self._candidates:
            expected = hmac.new(key, body, hashlib.sha256).hexdigest().encode()
            if hmac.compare_digest(hashlib.sha256(expected).digest(), digest):
                found = principal
        if found is None:
            raise Unauthenticated("Invalid request signature.")
        return found

    def state(self) -> AuthState:
        if self._candidates:
            return AuthState(AuthStatus.OK, AuthMethod.SIGNATURE.value)
        return AuthState(
            AuthStatus.MISSING,
            AuthMethod.SIGNATURE.value,
            "Set DW_WORKER_SIGNATURE_KEY, DW_OPERATOR_SIGNATURE_KEY and "
            "DW_ADMIN_SIGNATURE_KEY, or the shared DW_SIGNATURE_KEY.",
        )

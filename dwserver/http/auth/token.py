"""Bearer tokens (``spec/control-plane-api.md`` §3.2)."""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Mapping
from typing import Final

from aiohttp import hdrs

from dwserver.http.auth.authenticator import (
    AuthMisconfigured,
    AuthState,
    AuthStatus,
    Credentials,
    Unauthenticated,
    candidates,
)
from dwserver.http.auth.principal import AuthMethod, Principal

_UNAUTHENTICATED: Final = "Invalid or missing authentication token."


class TokenAuthenticator:
    """Every token is compared with every secret, whichever fits. What is compared are
    digests: they are all of one length, whatever the secrets are."""

    def __init__(self, credentials: Credentials) -> None:
        found = candidates(credentials, AuthMethod.TOKEN)
        # From the last to the first, so that the first one that fits is kept.
        self._candidates = tuple(
            (_digest(secret), principal) for secret, principal in reversed(found)
        )

    def authenticate(self, headers: Mapping[str, str], body: bytes) -> Principal:
        if not self._candidates:
            raise AuthMisconfigured(
                'Auth driver is set to "token" but DW_AUTH_TOKEN is not configured.'
            )
        scheme, _, credential = headers.get(hdrs.AUTHORIZATION, "").partition(" ")
        token = credential.strip().encode("utf-8", "surrogateescape")
        digest = _digest(token)
        found: Principal | None = None
        for known, principal in self._candidates:
            if hmac.compare_digest(known, digest):
                found = principal
        if found is None or scheme.lower() != "bearer":
            raise Unauthenticated(_UNAUTHENTICATED)
        return found

    def state(self) -> AuthState:
        if self._candidates:
            return AuthState(AuthStatus.OK, AuthMethod.TOKEN.value)
        return AuthState(
            AuthStatus.MISSING,
            AuthMethod.TOKEN.value,
            "Set DW_WORKER_TOKEN, DW_OPERATOR_TOKEN and DW_ADMIN_TOKEN, or the "
            "shared DW_AUTH_TOKEN.",
        )


def _digest(credential: bytes) -> bytes:
    return hashlib.blake2b(credential, digest_size=32).digest()

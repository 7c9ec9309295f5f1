"""From the configured driver word to its authenticator."""

from __future__ import annotations

from collections.abc import Mapping

from dwserver.http.auth.authenticator import (
    Authenticator,
    AuthMisconfigured,
    AuthState,
    AuthStatus,
    Credentials,
)
from dwserver.http.auth.principal import ANONYMOUS, AuthMethod, Principal
from dwserver.http.auth.signature import SignatureAuthenticator
from dwserver.http.auth.token import TokenAuthenticator


class NoAuthenticator:
    """Everyone may do everything (driver ``none``)."""

    def authenticate(self, headers: Mapping[str, str], body: bytes) -> Principal:
        return ANONYMOUS

    def state(self) -> AuthState:
        return AuthState(AuthStatus.OK, AuthMethod.NONE.value)


class UnknownDriver:
    """A misspelt driver lets nobody in (``control-plane-api.md`` §3.1)."""

    def __init__(self, driver: str) -> None:
        self._driver = driver

    def authenticate(self, headers: Mapping[str, str], body: bytes) -> Principal:
        raise AuthMisconfigured(f"Unknown auth driver: {self._driver}")

    def state(self) -> AuthState:
        return AuthState(
            AuthStatus.INVALID,
            self._driver,
            "Set DW_AUTH_DRIVER to none, token or signature.",
        )


def build_authenticator(
    driver: str, *, tokens: Credentials, signature_keys: Credentials
) -> Authenticator:
    """The authenticator of ``driver``; an unknown word gets one that refuses."""
    match driver:
        case AuthMethod.NONE:
            return NoAuthenticator()
        case AuthMethod.TOKEN:
            return TokenAuthenticator(tokens)
        case AuthMethod.SIGNATURE:
            return SignatureAuthenticator(signature_keys)
        case _:
            return UnknownDriver(driver)

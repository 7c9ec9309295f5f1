"""What the request pipeline needs of an authentication driver."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Protocol

from dwserver.http.auth.principal import AccessRole, AuthMethod, Principal


class Unauthenticated(Exception):
    """No valid credential (401); the text is the answer's message."""


class AuthMisconfigured(Exception):
    """The server cannot authenticate anybody (500); the text says why."""


class AuthStatus(StrEnum):
    """State of the readiness check ``auth``."""

    OK = "ok"
    MISSING = "missing"
    INVALID = "invalid"


@dataclass(frozen=True, slots=True)
class AuthState:
    """The check; ``remediation`` is ``None`` when all is well. ``provider`` is the
    reference of a custom one."""

    status: AuthStatus
    driver: str
    remediation: str | None = None
    provider: str | None = None


class Authenticator(Protocol):
    """A driver: from the headers and the raw body of a request to a principal."""

    def authenticate(self, headers: Mapping[str, str], body: bytes) -> Principal:
        """Raises :class:`Unauthenticated` or :class:`AuthMisconfigured`."""
        ...

    def state(self) -> AuthState: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Credentials:
    """Secrets by role, and the shared one of older deployments.

    Empty secrets count as absent (``control-plane-api.md`` §3.1).
    """

    worker: str | None = None
    operator: str | None = None
    admin: str | None = None
    shared: str | None = None
    accepts_shared: bool = True

    @property
    def by_role(self) -> dict[AccessRole, bytes]:
        """Configured role secrets in the order in which they are tried."""
        secrets = {
            AccessRole.WORKER: self.worker,
            AccessRole.OPERATOR: self.operator,
            AccessRole.ADMIN: self.admin,
        }
        return {role: secret.encode() for role, secret in secrets.items() if secret}

    @property
    def accepted_shared(self) -> bytes | None:
        if self.accepts_shared and self.shared:
            return self.shared.encode()
        return None


def candidates(
    credentials: Credentials, method: AuthMethod
) -> tuple[tuple[bytes, Principal], ...]:
    """Secrets with whom they stand for, in the order of precedence (§3.2).

    The shared credential is an admin; it also opens the worker plane as long as no
    role has a secret of its own.
    """
    by_role = credentials.by_role
    found = [
        (
            secret,
            Principal(subject=f"role:{role}", roles=(role.value,), method=method),
        )
        for role, secret in by_role.items()
    ]
    shared = credentials.accepted_shared
    if shared is not None:
        principal = Principal(
            subject=f"legacy-{method}",
            roles=(AccessRole.ADMIN.value,),
            method=method,
            claims={"legacy_credential": True},
            has_full_access=not by_role,
        )
        found.append((shared, principal))
    return tuple(found)

"""Whether a request is let in, and as whom (``spec/control-plane-api.md`` §3)."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Protocol

from dwserver.engine.records import quick_init
from dwserver.http.auth.authenticator import Authenticator, AuthState
from dwserver.http.auth.authorize import is_allowed
from dwserver.http.auth.principal import AccessRole, Principal
from dwserver.protocol.json_types import JsonObject


class Forbidden(Exception):
    """The principal is known and may not use the route (403)."""

    def __init__(self, principal: Principal) -> None:
        super().__init__(principal.subject)
        self.principal = principal


@quick_init
@dataclass(frozen=True, slots=True)
class Attempt:
    """A request that wants to use a route. ``path`` and ``query_string`` are raw,
    ``body`` is what was received; ``resource`` makes the authorization resource
    (§3.4), which only providers ask for."""

    method: str
    path: str
    query_string: str
    headers: Mapping[str, str]
    body: bytes
    allowed_roles: tuple[AccessRole, ...]
    resource: Callable[[], JsonObject]


class Access(Protocol):
    """Lets requests in."""

    async def admit(self, attempt: Attempt) -> Principal:
        """Raises ``Unauthenticated``, ``AuthMisconfigured`` or :class:`Forbidden`."""
        ...

    def state(self) -> AuthState: ...


class RoleAccess:
    """A built-in driver, and the rule that a role of the principal is allowed."""

    def __init__(self, authenticator: Authenticator) -> None:
        self._authenticator = authenticator

    async def admit(self, attempt: Attempt) -> Principal:
        principal = self._authenticator.authenticate(attempt.headers, attempt.body)
        if not is_allowed(principal, attempt.allowed_roles):
            raise Forbidden(principal)
        return principal

    def state(self) -> AuthState:
        return self._authenticator.state()

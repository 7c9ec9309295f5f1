"""Authentication by code of the deployment: ``DW_AUTH_PROVIDER``.

The names below are what a provider imports (``spec/control-plane-api.md`` §3.4).
Whatever a provider does that is not foreseen here keeps the request out.
"""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, replace
from importlib import import_module
from typing import Any, Final, Protocol

import orjson
import structlog

from dwserver.http.auth.access import Access, Attempt, Forbidden
from dwserver.http.auth.authenticator import (
    AuthMisconfigured,
    AuthState,
    AuthStatus,
    Unauthenticated,
)
from dwserver.http.auth.principal import Principal
from dwserver.protocol.json_types import JsonValue

__all__ = [
    "ROUTE_ACCESS",
    "AuthMisconfigured",
    "AuthProvider",
    "AuthRequest",
    "Principal",
    "Unauthenticated",
]

ROUTE_ACCESS: Final = "server.route.access"
"""The action of every authorization."""

DRIVER: Final = "custom"
DEFAULT_TIMEOUT_SECONDS: Final = 10.0

# Says nothing about the provider: it is sent to callers that nobody knows.
_UNUSABLE: Final = "The auth provider cannot decide about this request."

_log = structlog.stdlib.get_logger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class AuthRequest:
    """What a provider sees of a request. ``path`` and ``query_string`` as they were
    sent; names of ``headers`` are found in any case; ``body`` is what a signature
    would cover."""

    method: str
    path: str
    query_string: str
    headers: Mapping[str, str]
    body: bytes


class AuthProvider(Protocol):
    """Either method may be a coroutine function; a plain one runs in a thread and
    must be safe to run in several at once."""

    def authenticate(self, request: AuthRequest) -> Principal | Awaitable[Principal]:
        """Who sends the request. Raises ``Unauthenticated`` (401) or
        ``AuthMisconfigured`` (500), whose texts the caller gets to read."""
        ...

    def authorize(
        self, principal: Principal, action: str, resource: Mapping[str, JsonValue]
    ) -> bool | Awaitable[bool]:
        """Whether the principal may; only ``True`` lets it."""
        ...


class ProviderUnusable(Exception):
    """``DW_AUTH_PROVIDER`` names nothing that could be asked; the text says why."""


def load_provider(reference: str) -> AuthProvider:
    """The provider at ``module:attribute``: an object with both methods, or a class
    that makes one from no arguments. Raises :class:`ProviderUnusable`."""
    module_name, _, attribute = reference.partition(":")
    if not module_name or not attribute:
        raise ProviderUnusable("it is not of the form module:attribute")
    try:
        found: Any = getattr(import_module(module_name), attribute)
        provider: AuthProvider
        provider = found() if isinstance(found, type) else found
    except Exception as error:
        raise ProviderUnusable(f"{type(error).__name__}: {error}") from error
    for name, count in (("authenticate", 1), ("authorize", 3)):
        _check_method(provider, name, count)
    return provider


def _check_method(provider: object, name: str, count: int) -> None:
    method = getattr(provider, name, None)
    if not callable(method):
        raise ProviderUnusable(f"it has no method {name}")
    try:
        inspect.signature(method).bind(*range(count))
    except (TypeError, ValueError) as error:
        raise ProviderUnusable(f"{name} does not take {count} arguments") from error


class ProviderAccess:
    """Asks the provider, first who it is, then whether it may."""

    def __init__(
        self,
        reference: str,
        provider: AuthProvider,
        *,
        timeout_seconds: float = DEFAULT_TIMEOUT_SECONDS,
    ) -> None:
        self._reference = reference
        self._provider = provider
        self._timeout_seconds = timeout_seconds

    async def admit(self, attempt: Attempt) -> Principal:
        try:
            async with asyncio.timeout(self._timeout_seconds):
                return await self._decide(attempt)
        except (Unauthenticated, AuthMisconfigured, Forbidden):
            raise
        except Exception as error:
            _log.error("auth_provider_failed", provider=self._reference, exc_info=error)
            raise AuthMisconfigured(_UNUSABLE) from None

    async def _decide(self, attempt: Attempt) -> Principal:
        provider = self._provider
        request = AuthRequest(
            method=attempt.method,
            path=attempt.path,
            query_string=attempt.query_string,
            headers=attempt.headers,
            body=attempt.body,
        )
        principal = _checked(await _asked(provider.authenticate, request))
        verdict = await _asked(
            provider.authorize, principal, ROUTE_ACCESS, attempt.resource()
        )
        if not isinstance(verdict, bool):
            raise TypeError(f"authorize returned {type(verdict).__name__}, not bool")
        if not verdict:
            raise Forbidden(principal)
        return principal

    def state(self) -> AuthState:
        return AuthState(AuthStatus.OK, DRIVER, provider=self._reference)


class UnusableProvider:
    """Lets nobody in."""

    def __init__(self, reference: str) -> None:
        self._reference = reference

    async def admit(self, attempt: Attempt) -> Principal:
        raise AuthMisconfigured(_UNUSABLE)

    def state(self) -> AuthState:
        return AuthState(
            AuthStatus.INVALID,
            DRIVER,
            "Set DW_AUTH_PROVIDER to module:attribute of an auth provider that can be "
            "imported, or unset it; the log says what is wrong with this one.",
            provider=self._reference,
        )


def provider_access(reference: str) -> Access:
    """Access by the provider at ``reference``; nobody gets in when it is unusable."""
    try:
        return ProviderAccess(reference, load_provider(reference))
    except ProviderUnusable as error:
        _log.error(
            "auth_provider_unusable",
            provider=reference,
            problem=str(error),
            exc_info=error.__cause__,
        )
        return UnusableProvider(reference)


async def _asked(method: Callable[..., Any], *arguments: object) -> Any:
    if inspect.iscoroutinefunction(method):
        return await method(*arguments)
    found = await asyncio.to_thread(method, *arguments)
    return await found if isinstance(found, Awaitable) else found


def _checked(found: Any) -> Principal:
    """The principal in its usual form. TypeError for what is none, or could not be
    recorded with a command."""
    if not isinstance(found, Principal):
        raise TypeError(f"authenticate returned {type(found).__name__}, no Principal")
    # Annotations bind nobody who writes a provider.
    roles: Any = found.roles
    words: list[Any] = [found.subject, found.method, found.tenant or "", *roles]
    if isinstance(roles, str) or not all(isinstance(word, str) for word in words):
        raise TypeError("the principal has words that are no text")
    if not found.subject.strip():
        raise TypeError("the principal has no subject")
    trimmed = (role.strip() for role in roles)
    principal = replace(found, roles=tuple(dict.fromkeys(filter(None, trimmed))))
    orjson.dumps(principal.audit_form())
    return principal

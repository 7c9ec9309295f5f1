"""Authentication by code of the deployment (``spec/control-plane-api.md`` §3.4)."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Any

import pytest
from structlog.testing import capture_logs

from dwserver.config.settings import load_settings
from dwserver.http.auth.access import Attempt, Forbidden
from dwserver.http.auth.authenticator import AuthStatus
from dwserver.http.auth.principal import AccessRole
from dwserver.http.auth.provider import (
    ROUTE_ACCESS,
    AuthMisconfigured,
    AuthRequest,
    Principal,
    ProviderAccess,
    ProviderUnusable,
    Unauthenticated,
    load_provider,
    provider_access,
)
from dwserver.protocol.json_types import JsonValue
from dwserver.roles.http import build_access
from tests.http.harness import CONTROL, ROUTES, WORKER, Node, serving

HERE = __name__
TELLER = Principal(subject="teller", roles=("operator",), method="badge")
UNUSABLE = "The auth provider cannot decide about this request."


class Provider:
    """Lets in whoever shows a badge, where one of the badge's roles is allowed."""

    def __init__(self) -> None:
        self.requests: list[AuthRequest] = []
        self.asked: list[tuple[Principal, str, Mapping[str, JsonValue]]] = []

    def authenticate(self, request: AuthRequest) -> Principal:
        self.requests.append(request)
        role = request.headers.get("x-badge")
        if role is None:
            raise Unauthenticated("Show your badge.")
        return Principal(subject="teller", roles=(role,), method="badge")

    def authorize(
        self, principal: Principal, action: str, resource: Mapping[str, JsonValue]
    ) -> bool:
        self.asked.append((principal, action, resource))
        return any(role in resource["allowed_roles"] for role in principal.roles)


class Awaited(Provider):
    async def authenticate(self, request: AuthRequest) -> Principal:  # type: ignore[override]
        await asyncio.sleep(0)
        return super().authenticate(request)

    async def authorize(self, *arguments: Any) -> bool:  # type: ignore[override]
        await asyncio.sleep(0)
        return super().authorize(*arguments)


class Fixed:
    """Answers, or raises, what it was made with."""

    def __init__(self, principal: object = TELLER, verdict: object = True) -> None:
        self.principal = principal
        self.verdict = verdict

    def authenticate(self, request: AuthRequest) -> Any:
        if isinstance(self.principal, BaseException):
            raise self.principal
        return self.principal

    def authorize(self, principal: Principal, action: str, resource: Any) -> Any:
        if isinstance(self.verdict, BaseException):
            raise self.verdict
        return self.verdict


class Broken:
    def __init__(self) -> None:
        raise OSError("no directory")


class Silent:
    async def authenticate(self, request: AuthRequest) -> Principal:
        await asyncio.Event().wait()
        return TELLER

    def authorize(self, principal: Principal, action: str, resource: Any) -> bool:
        return True


class WithoutAuthorize:
    def authenticate(self, request: AuthRequest) -> Principal:
        return TELLER


class OddAuthorize(WithoutAuthorize):
    def authorize(self, principal: Principal) -> bool:
        return True


INSTANCE = Fixed()
A_NUMBER = 7


def attempt() -> Attempt:
    return Attempt(
        "GET", "/api/workflows", "", {}, b"", (AccessRole.OPERATOR,), lambda: {}
    )


def access_of(provider: Any, **options: Any) -> ProviderAccess:
    return ProviderAccess("tests:Provider", provider, **options)


@pytest.mark.parametrize("kind", [Provider, Awaited])
@pytest.mark.parametrize(
    ("headers", "status", "reason"),
    [
        ({"X-Badge": "operator"}, 200, None),
        ({"X-Badge": "worker"}, 403, "forbidden"),
        ({}, 401, "unauthorized"),
    ],
)
async def test_a_provider_decides(
    kind: type[Provider], headers: dict[str, str], status: int, reason: str | None
) -> None:
    node = Node(access=access_of(kind()))
    version = {name: value for name, value in CONTROL.items() if name[:2] == "X-"}
    async with serving(node.pipeline(ROUTES)) as client:
        answer = await client.send("GET", "/api/workflows", version | headers)
    assert (answer.status, answer.body.get("reason")) == (status, reason)
    assert answer.body["control_plane"]["operation"] == "list"
    if status == 403:
        assert answer.body["role"] == "worker"
        assert answer.body["allowed_roles"] == ["operator", "admin"]
    if status == 401:
        assert answer.body["message"] == "Show your badge."


async def test_a_provider_sees_the_request_and_the_resource() -> None:
    provider = Provider()
    headers = {**CONTROL, "X-Badge": "operator", "X-Namespace": "Unheard-Of"}
    path = "/api/workflows/order%2D1/signal/go?a=b"
    async with serving(Node(access=access_of(provider)).pipeline(ROUTES)) as client:
        sent = {"task_queue": " q ", "run_id": 7, "input": ["secret"]}
        answer = await client.send_json("POST", path, headers, body=sent)
    assert answer.body["reason"] == "namespace_not_found"
    [request] = provider.requests
    assert (request.method, request.path, request.query_string) == (
        "POST",
        "/api/workflows/order%2D1/signal/go",
        "a=b",
    )
    assert b"secret" in request.body
    [(principal, action, resource)] = provider.asked
    assert (principal.subject, action) == ("teller", ROUTE_ACCESS)
    assert resource == {
        "allowed_roles": ["operator", "admin"],
        "method": "POST",
        "path": "/api/workflows/order%2D1/signal/go",
        "route_uri": "api/workflows/{workflowId}/signal/{signalName}",
        "route_parameters": {"workflow_id": "order-1", "signal_name": "go"},
        "operation_family": "workflow",
        "operation_name": "signal",
        "default_namespace": "default",
        "requested_namespace": "unheard-of",
        "namespace": "unheard-of",
        "workflow_id": "order-1",
        "signal_name": "go",
        "task_queue": "q",
        "run_id": 7,
    }


async def test_the_worker_plane_asks_as_well() -> None:
    provider = Provider()
    async with serving(Node(access=access_of(provider)).pipeline(ROUTES)) as client:
        answer = await client.send("POST", "/api/worker/register", WORKER)
    assert answer.status == 401
    assert answer.body["error"] == answer.body["message"] == "Show your badge."
    assert "server_capabilities" in answer.body


@pytest.mark.parametrize(
    "provider",
    [
        Fixed(OSError("ldap://secret@host is down")),
        Fixed(None),
        Fixed({"subject": "teller", "roles": ["admin"]}),
        Fixed(Principal(subject=" ", roles=("admin",))),
        Fixed(Principal(subject="teller", roles="admin")),  # type: ignore[arg-type]
        Fixed(Principal(subject="teller", roles=(7,))),  # type: ignore[arg-type]
        Fixed(Principal(subject="teller", roles=(), claims={"key": object()})),
        Fixed(verdict=OSError("ldap://secret@host is down")),
        Fixed(verdict=None),
        Fixed(verdict=1),
        Fixed(verdict="yes"),
    ],
)
async def test_whatever_else_a_provider_does_keeps_the_request_out(
    provider: Fixed,
) -> None:
    node = Node(access=access_of(provider))
    with capture_logs() as logs:
        async with serving(node.pipeline(ROUTES)) as client:
            answer = await client.send("GET", "/api/workflows", CONTROL)
    assert (answer.status, answer.body["reason"]) == (500, "server_error")
    assert answer.body["message"] == UNUSABLE
    assert b"secret" not in answer.raw
    failures = [log for log in logs if log["log_level"] == "error"]
    assert [log["event"] for log in failures] == ["auth_provider_failed"]


async def test_a_provider_that_does_not_answer_keeps_the_request_out() -> None:
    with pytest.raises(AuthMisconfigured):
        await access_of(Silent(), timeout_seconds=0.01).admit(attempt())


async def test_a_refusal_of_the_provider_is_no_failure() -> None:
    with capture_logs() as logs, pytest.raises(Forbidden) as refused:
        await access_of(Fixed(verdict=False)).admit(attempt())
    assert refused.value.principal is not None
    assert logs == []


async def test_the_words_of_a_provider_reach_the_caller() -> None:
    with pytest.raises(AuthMisconfigured, match="out of licences"):
        await access_of(Fixed(AuthMisconfigured("out of licences"))).admit(attempt())


async def test_roles_are_trimmed_and_unique() -> None:
    roles = (" admin ", "", "operator", "admin", "  ")
    provider = Fixed(Principal(subject="teller", roles=roles))
    principal = await access_of(provider).admit(attempt())
    assert principal.roles == ("admin", "operator")
    assert principal.method == "none"
    assert principal.audit_form() == {
        "subject": "teller",
        "roles": ["admin", "operator"],
    }


@pytest.mark.parametrize("attribute", ["Provider", "Awaited", "INSTANCE"])
def test_a_class_or_an_object_can_be_named(attribute: str) -> None:
    provider = load_provider(f"{HERE}:{attribute}")
    assert callable(provider.authenticate)
    state = provider_access(f"{HERE}:{attribute}").state()
    assert (state.status, state.driver) == (AuthStatus.OK, "custom")
    assert state.provider == f"{HERE}:{attribute}"


@pytest.mark.parametrize(
    "reference",
    [
        "",
        HERE,
        f"{HERE}:",
        ":Provider",
        "no.such.module:Provider",
        f"{HERE}:NoSuchAttribute",
        f"{HERE}:A_NUMBER",
        f"{HERE}:Broken",
        f"{HERE}:WithoutAuthorize",
        f"{HERE}:OddAuthorize",
    ],
)
async def test_an_unusable_provider_lets_nobody_in(reference: str) -> None:
    with pytest.raises(ProviderUnusable):
        load_provider(reference)
    with capture_logs() as logs:
        access = provider_access(reference)
    assert [log["event"] for log in logs] == ["auth_provider_unusable"]
    state = access.state()
    assert (state.status, state.driver) == (AuthStatus.INVALID, "custom")
    assert state.provider == reference
    assert "DW_AUTH_PROVIDER" in (state.remediation or "")
    async with serving(Node(access=access).pipeline(ROUTES)) as client:
        answer = await client.send("GET", "/api/workflows", CONTROL)
    assert (answer.status, answer.body["message"]) == (500, UNUSABLE)


def test_a_provider_stands_in_for_driver_and_credentials() -> None:
    environ = {
        "DW_DATABASE_URL": "sqlite:///unused.sqlite",
        "DW_AUTH_PROVIDER": f"{HERE}:Provider",
        "DW_AUTH_TOKEN": "token",
    }
    assert isinstance(build_access(load_settings(environ).auth), ProviderAccess)

"""Every row of the table with every kind of credential: who gets in, and what the
others learn (``spec/control-plane-api.md`` §1.2, §3)."""

from __future__ import annotations

import hashlib
import hmac
from dataclasses import replace
from typing import Any

import pytest

from dwserver.http.auth.access import RoleAccess
from dwserver.http.auth.authenticator import Credentials
from dwserver.http.auth.drivers import build_authenticator
from dwserver.http.route import Route
from dwserver.http.routes import CONTROL_PLANE_ROUTES, WORKER_ROUTES
from tests.http.harness import CONTROL, WORKER, Answer, Client, Node, answer_ok, serving

TABLE = tuple(
    replace(route, handler=answer_ok, shape=None)
    for route in (*CONTROL_PLANE_ROUTES, *WORKER_ROUTES)
)
ROLES = ("worker", "operator", "admin")
SECRETS = {role: f"{role}-secret" for role in ROLES}
SHARED = "shared-secret"
VERSIONS = {
    name: value
    for headers in (CONTROL, WORKER)
    for name, value in headers.items()
    if name != "Authorization"
}


def credential(driver: str, secret: str, body: bytes = b"") -> dict[str, str]:
    if driver == "token":
        return {"Authorization": f"Bearer {secret}"}
    digest = hmac.new(secret.encode(), body, hashlib.sha256).hexdigest()
    return {"X-Signature": digest}


def node(driver: str, credentials: Credentials) -> Node:
    authenticator = build_authenticator(
        driver, tokens=credentials, signature_keys=credentials
    )
    return Node(access=RoleAccess(authenticator), namespaces=frozenset({"default"}))


async def send(client: Client, route: Route, headers: dict[str, str]) -> Answer:
    path = "/".join(
        "some-id" if segment.startswith("{") else segment
        for segment in route.path.split("/")
    )
    return await client.send(route.method.value, path, VERSIONS | headers)


@pytest.mark.parametrize("driver", ["token", "signature"])
@pytest.mark.parametrize("role", ROLES)
async def test_role_opens_its_rows_and_no_others(driver: str, role: str) -> None:
    credentials = Credentials(**SECRETS, shared=SHARED)
    async with serving(node(driver, credentials).pipeline(TABLE)) as client:
        for route in TABLE:
            answer = await send(client, route, credential(driver, SECRETS[role]))
            allowed = [str(each) for each in route.allowed_roles or ()]
            if role in allowed:
                assert answer.status == 200, route.label
                continue
            assert answer.status == 403, route.label
            told = {
                key: answer.body[key] for key in ("reason", "role", "allowed_roles")
            }
            assert told == {
                "reason": "forbidden",
                "role": role,
                "allowed_roles": allowed,
            }


@pytest.mark.parametrize("driver", ["token", "signature"])
@pytest.mark.parametrize(
    ("credentials", "control", "worker"),
    [
        (Credentials(shared=SHARED), 200, 200),
        (Credentials(shared=SHARED, worker="w"), 200, 403),
        (Credentials(shared=SHARED, admin="a"), 200, 403),
        (Credentials(shared=SHARED, worker="w", accepts_shared=False), 401, 401),
        (Credentials(shared=SHARED, accepts_shared=False), 500, 500),
        (Credentials(), 500, 500),
    ],
)
async def test_shared_credential(
    driver: str, credentials: Credentials, control: int, worker: int
) -> None:
    async with serving(node(driver, credentials).pipeline(TABLE)) as client:
        found = {
            (
                route.plane,
                (await send(client, route, credential(driver, SHARED))).status,
            )
            for route in TABLE
        }
    assert found == {("control", control), ("worker", worker)}


async def test_signature_of_one_role_is_no_signature_of_another_body() -> None:
    credentials = Credentials(**SECRETS)
    signed = credential("signature", SECRETS["admin"], b'{"name":"a"}')
    headers = {**VERSIONS, **signed, "Content-Type": "application/json"}
    async with serving(node("signature", credentials).pipeline(TABLE)) as client:
        path = "/api/namespaces"
        right = await client.send("POST", path, headers, body=b'{"name":"a"}')
        wrong = await client.send("POST", path, headers, body=b'{"name":"b"}')
    assert (right.status, wrong.status) == (200, 401)


def shown(answer: Answer) -> tuple[int, Any, dict[str, str]]:
    """All of an answer but the id that it got."""
    headers = {
        name.lower(): value
        for name, value in answer.headers.items()
        if name.lower() not in ("x-request-id", "date")
    }
    return answer.status, answer.body, headers


WRONG_ROLE = {"control": "worker", "worker": "admin"}


@pytest.mark.parametrize("driver", ["token", "signature"])
async def test_refusals_do_not_depend_on_what_exists(driver: str) -> None:
    """Existing, unknown and impossible namespaces look the same to whom is not let in,
    and so do all wrong credentials."""
    credentials = Credentials(**SECRETS)
    async with serving(node(driver, credentials).pipeline(TABLE)) as client:
        for route in TABLE:
            strangers = [
                credential(driver, "unheard-of"),
                credential(driver, f"{SECRETS['admin']}x"),
                credential(driver, SECRETS["admin"][:-1]),
            ]
            insider = credential(driver, SECRETS[WRONG_ROLE[route.plane]])
            for senders, status in ((strangers, 401), ([insider], 403)):
                answers = [
                    shown(await send(client, route, {**sender, "X-Namespace": name}))
                    for sender in senders
                    for name in ("default", "unheard-of", "")
                ]
                assert answers[0][0] == status, route.label
                assert all(answer == answers[0] for answer in answers), route.label

"""Who is let in as whom (``spec/control-plane-api.md`` §3)."""

from __future__ import annotations

import hashlib
import hmac
from contextlib import suppress

import pytest

from dwserver.http.auth.authenticator import (
    AuthMisconfigured,
    AuthStatus,
    Credentials,
    Unauthenticated,
)
from dwserver.http.auth.authorize import is_allowed
from dwserver.http.auth.drivers import build_authenticator
from dwserver.http.auth.principal import ANONYMOUS, AuthMethod, Principal
from dwserver.http.auth.signature import SignatureAuthenticator
from dwserver.http.auth.token import TokenAuthenticator
from dwserver.http.route import ADMINS, ANY_ROLE, OPERATORS, WORKERS

ROLE_SECRETS = Credentials(worker="w", operator="o", admin="a", shared="s")
BODY = b'{"a":1}'


def bearer(token: str, scheme: str = "Bearer") -> dict[str, str]:
    return {"Authorization": f"{scheme} {token}"}


def signed(key: str, body: bytes = BODY) -> dict[str, str]:
    digest = hmac.new(key.encode(), body, hashlib.sha256).hexdigest()
    return {"X-Signature": digest}


@pytest.mark.parametrize(
    ("token", "subject", "role"),
    [
        ("w", "role:worker", "worker"),
        ("o", "role:operator", "operator"),
        ("a", "role:admin", "admin"),
        ("s", "legacy-token", "admin"),
    ],
)
def test_token_stands_for_its_role(token: str, subject: str, role: str) -> None:
    principal = TokenAuthenticator(ROLE_SECRETS).authenticate(bearer(token), b"")
    assert (principal.subject, principal.primary_role) == (subject, role)
    assert principal.method is AuthMethod.TOKEN
    assert not principal.has_full_access


@pytest.mark.parametrize(
    "headers",
    [
        {},
        bearer(""),
        bearer("wrong"),
        bearer("W"),
        bearer("w", scheme="Basic"),
        bearer("w", scheme="Bearerx"),
        {"Authorization": "w"},
        {"Authorization": "Bearer"},
        bearer("w o"),
        bearer("\udcff"),
        signed("w"),
    ],
)
def test_other_credentials_are_refused_alike(headers: dict[str, str]) -> None:
    with pytest.raises(Unauthenticated) as refused:
        TokenAuthenticator(ROLE_SECRETS).authenticate(headers, BODY)
    assert str(refused.value) == "Invalid or missing authentication token."


@pytest.mark.parametrize("scheme", ["bearer", "BEARER"])
def test_scheme_is_read_in_any_case(scheme: str) -> None:
    principal = TokenAuthenticator(ROLE_SECRETS).authenticate(bearer("o", scheme), b"")
    assert principal.subject == "role:operator"


def test_first_role_wins_among_equal_secrets() -> None:
    same = Credentials(operator="x", admin="x", shared="x")
    principal = TokenAuthenticator(same).authenticate(bearer("x"), b"")
    assert principal.subject == "role:operator"


def test_secrets_may_hold_any_character() -> None:
    secrets = Credentials(admin="geheimnis-ü")
    principal = TokenAuthenticator(secrets).authenticate(bearer("geheimnis-ü"), b"")
    assert principal.subject == "role:admin"


@pytest.mark.parametrize(
    ("credentials", "has_full_access"),
    [
        (Credentials(shared="s"), True),
        (Credentials(shared="s", worker="", operator="", admin=""), True),
        (Credentials(shared="s", worker="w"), False),
    ],
)
def test_shared_token_is_everything_until_roles_have_tokens(
    credentials: Credentials, has_full_access: bool
) -> None:
    principal = TokenAuthenticator(credentials).authenticate(bearer("s"), b"")
    assert principal.has_full_access is has_full_access
    assert is_allowed(principal, WORKERS) is has_full_access
    assert is_allowed(principal, ADMINS)
    assert principal.audit_form()["claims"] == {"legacy_credential": True}


def test_shared_token_can_be_switched_off() -> None:
    credentials = Credentials(shared="s", admin="a", accepts_shared=False)
    with pytest.raises(Unauthenticated):
        TokenAuthenticator(credentials).authenticate(bearer("s"), b"")


@pytest.mark.parametrize(
    "credentials",
    [
        Credentials(),
        Credentials(worker="", operator="", admin="", shared=""),
        Credentials(shared="s", accepts_shared=False),
    ],
)
@pytest.mark.parametrize(
    ("driver", "variable"),
    [("token", "DW_AUTH_TOKEN"), ("signature", "DW_SIGNATURE_KEY")],
)
def test_driver_without_secrets_is_misconfigured(
    credentials: Credentials, driver: str, variable: str
) -> None:
    authenticator = build_authenticator(
        driver, tokens=credentials, signature_keys=credentials
    )
    with pytest.raises(AuthMisconfigured, match=variable):
        authenticator.authenticate(bearer("s") | signed("s"), BODY)
    state = authenticator.state()
    assert (state.status, state.driver) == (AuthStatus.MISSING, driver)
    assert state.remediation is not None
    assert variable in state.remediation


@pytest.mark.parametrize(
    ("key", "subject"),
    [("w", "role:worker"), ("a", "role:admin"), ("s", "legacy-signature")],
)
@pytest.mark.parametrize("body", [BODY, b""])
def test_signature_covers_the_body(key: str, subject: str, body: bytes) -> None:
    authenticator = SignatureAuthenticator(ROLE_SECRETS)
    principal = authenticator.authenticate(signed(key, body), body)
    assert principal.subject == subject
    with pytest.raises(Unauthenticated):
        authenticator.authenticate(signed(key, body), body + b" ")


@pytest.mark.parametrize(
    ("headers", "message"),
    [
        ({}, "Missing request signature."),
        ({"X-Signature": ""}, "Missing request signature."),
        ({"X-Signature": "00"}, "Invalid request signature."),
        ({"X-Signature": "\udcff"}, "Invalid request signature."),
        (
            {"X-Signature": signed("w")["X-Signature"].upper()},
            "Invalid request signature.",
        ),
    ],
)
def test_other_signatures_are_refused(headers: dict[str, str], message: str) -> None:
    with pytest.raises(Unauthenticated) as refused:
        SignatureAuthenticator(ROLE_SECRETS).authenticate(headers, BODY)
    assert str(refused.value) == message


@pytest.mark.parametrize(
    ("authenticator", "headers", "body"),
    [
        (TokenAuthenticator, bearer("w"), b""),
        (TokenAuthenticator, bearer("w" * 5000), b""),
        (SignatureAuthenticator, signed("w"), BODY),
        (SignatureAuthenticator, {"X-Signature": "00"}, BODY),
    ],
)
def test_every_secret_is_compared_and_no_length_is_told(
    monkeypatch: pytest.MonkeyPatch,
    authenticator: type[TokenAuthenticator | SignatureAuthenticator],
    headers: dict[str, str],
    body: bytes,
) -> None:
    compared: list[tuple[int, int]] = []
    compare = hmac.compare_digest

    def watched(known: bytes, sent: bytes) -> bool:
        compared.append((len(known), len(sent)))
        return compare(known, sent)

    monkeypatch.setattr(hmac, "compare_digest", watched)
    with suppress(Unauthenticated):
        authenticator(ROLE_SECRETS).authenticate(headers, body)
    assert compared == [(32, 32)] * 4


def test_no_authentication_lets_everybody_in() -> None:
    authenticator = build_authenticator(
        "none", tokens=Credentials(), signature_keys=Credentials()
    )
    assert authenticator.authenticate({}, b"") is ANONYMOUS
    assert all(is_allowed(ANONYMOUS, roles) for roles in (WORKERS, ADMINS, ANY_ROLE))
    assert authenticator.state().status is AuthStatus.OK


def test_unknown_driver_lets_nobody_in() -> None:
    authenticator = build_authenticator(
        "tokn", tokens=ROLE_SECRETS, signature_keys=ROLE_SECRETS
    )
    with pytest.raises(AuthMisconfigured, match="Unknown auth driver: tokn"):
        authenticator.authenticate(bearer("a"), b"")
    assert authenticator.state().status is AuthStatus.INVALID


def test_admin_is_no_worker() -> None:
    admin = Principal(subject="a", roles=("admin",), method=AuthMethod.TOKEN)
    assert is_allowed(admin, OPERATORS)
    assert not is_allowed(admin, WORKERS)


def test_principal_without_roles_is_allowed_nothing() -> None:
    nobody = Principal(subject="n", roles=(), method=AuthMethod.TOKEN)
    assert not is_allowed(nobody, ANY_ROLE)
    assert nobody.primary_role is None
    assert nobody.audit_form() == {"subject": "n"}

"""The signed header: what it carries, and everything that makes it worthless."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dwserver.http.auth.principal import ANONYMOUS, Principal
from dwserver.http.forwarding.credential import (
    LIFETIME,
    MAX_BYTES,
    CredentialTooLarge,
    Forwarded,
    Signed,
    forwarding_key,
    sign,
    verify,
)
from dwserver.http.origin import Origin

KEY = forwarding_key("a key of all nodes")
NOW = 1_776_081_600_000_000
REQUEST = Signed(
    method="POST",
    target="/api/worker/workflow-tasks/poll?namespace=orders",
    namespace="orders",
    body=b'{"worker_id":"w1","task_queue":"q"}',
)
ALICE = Principal(
    subject="alice",
    roles=("operator", "auditor"),
    method="oidc",
    tenant="acme",
    claims={"groups": ["a", "b"], "name": "Ålice"},
)
ORIGIN = Origin(address="10.1.2.3", scheme="https", request_id="a.b:c/1")


def signed(**changes: Any) -> str:
    values: dict[str, Any] = {
        "principal": ALICE,
        "origin": ORIGIN,
        "issued_at": NOW,
        **changes,
    }
    return sign(KEY, REQUEST, **values)


@pytest.mark.parametrize(
    "principal",
    [ALICE, ANONYMOUS, Principal(subject="role:worker", roles=("worker",))],
)
@pytest.mark.parametrize("address", ["10.1.2.3", "::1", None])
def test_a_header_carries_principal_and_origin(
    principal: Principal, address: str | None
) -> None:
    origin = replace(ORIGIN, address=address)
    value = signed(principal=principal, origin=origin)
    assert value.isascii()
    assert value.isprintable()
    assert verify(KEY, value, REQUEST, now=NOW) == Forwarded(
        principal=principal, origin=origin
    )


@pytest.mark.parametrize(
    "changes",
    [
        {"method": "GET"},
        {"target": "/api/worker/activity-tasks/poll?namespace=orders"},
        {"target": "/api/worker/workflow-tasks/poll?namespace=order"},
        {"namespace": "billing"},
        {"body": b""},
        {"body": REQUEST.body + b" "},
    ],
)
def test_a_header_opens_no_other_request(changes: dict[str, Any]) -> None:
    assert verify(KEY, signed(), replace(REQUEST, **changes), now=NOW) is None


@pytest.mark.parametrize(
    ("now", "is_good"),
    [
        (NOW + LIFETIME, True),
        (NOW + LIFETIME + 1, False),
        (NOW - LIFETIME, True),
        (NOW - LIFETIME - 1, False),
    ],
)
def test_a_header_is_good_for_a_while(now: int, is_good: bool) -> None:
    assert (verify(KEY, signed(), REQUEST, now=now) is not None) is is_good


def test_a_header_of_another_key_is_forged() -> None:
    value = sign(
        forwarding_key("another key"),
        REQUEST,
        principal=ALICE,
        origin=ORIGIN,
        issued_at=NOW,
    )
    assert verify(KEY, value, REQUEST, now=NOW) is None


def test_every_character_of_a_header_counts() -> None:
    value = signed()
    for at, character in enumerate(value):
        other = "0" if character != "0" else "1"
        changed = value[:at] + other + value[at + 1 :]
        assert verify(KEY, changed, REQUEST, now=NOW) is None, at


@given(st.text())
def test_any_other_text_is_refused(text: str) -> None:
    assert verify(KEY, text, REQUEST, now=NOW) is None


@pytest.mark.parametrize(
    "value", ["", " ", "1 2 3 4 5", "a", "é" * 64, " ".join("1" * 9)]
)
def test_odd_texts_are_refused(value: str) -> None:
    assert verify(KEY, value, REQUEST, now=NOW) is None


def test_namespace_and_body_cannot_change_places() -> None:
    """Parts that are joined for the signature keep their borders."""
    value = signed()
    head = value.rpartition(" ")[0]
    widened = replace(REQUEST, namespace=f"{REQUEST.namespace}\n{head}", body=b"")
    assert verify(KEY, value, widened, now=NOW) is None


def test_bytes_of_a_target_that_are_no_text_are_covered() -> None:
    odd = replace(REQUEST, target="/api/workflows/\udcff")
    value = sign(KEY, odd, principal=ALICE, origin=ORIGIN, issued_at=NOW)
    assert verify(KEY, value, odd, now=NOW) is not None
    other = replace(REQUEST, target="/api/workflows/\udcfe")
    assert verify(KEY, value, other, now=NOW) is None


def test_claims_that_fit_in_no_header_are_told() -> None:
    crowded = replace(ALICE, claims={"groups": "x" * MAX_BYTES})
    with pytest.raises(CredentialTooLarge):
        signed(principal=crowded)

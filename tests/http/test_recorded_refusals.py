"""Refusals and their order, compared with recordings of the reference server.

The recordings are whole documents; sentences are masked, and the parts that other
tests compare (capabilities, operation contracts) are left out. What we do
differently on purpose is listed here, with the decision behind it.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import orjson
import pytest

from dwserver.http.auth.authenticator import Credentials
from dwserver.http.auth.drivers import build_authenticator
from dwserver.topology.shapes import ProcessClass, Shape
from tests.http.harness import ROUTES, TOKENS, Answer, Client, Node, serving
from tests.protocol.recordings import masked

FIXTURES = Path(__file__).parent / "fixtures"

# The reference speaks exactly 1.0; with 1.0 advertised the answers are the same
# (decision 1).
ADVERTISED = "1.0"

SIGNATURE_KEYS = Credentials(worker="wk-key", operator="op-key", admin="ad-key")

# Without a version header the reference falls back to its framework's page; ours is
# the plane's envelope always (control-plane-api.md §1.4).
FRAMEWORK_PAGES = frozenset({"health_post_405", "root_404"})
# A preflight answers like any OPTIONS (control-plane-api.md §1.4).
OTHER_STATUS = {"health_options_cors_preflight": 200}


def load(family: str) -> list[dict[str, Any]]:
    recordings: list[dict[str, Any]] = orjson.loads(
        (FIXTURES / f"{family}.json").read_bytes()
    )
    return recordings


def body_of(request: dict[str, Any]) -> bytes | None:
    match request["body"]:
        case None:
            return None
        case {"text": text}:
            return str(text).encode()
        case {"json": value}:
            return orjson.dumps(value)
        case other:
            raise AssertionError(other)


async def replay(client: Client, recording: dict[str, Any]) -> Answer:
    request = recording["request"]
    return await client.send(
        request["method"], request["path"], request["headers"], body=body_of(request)
    )


def comparable(body: Any) -> Any:
    """The document without what the recordings leave out."""
    document = masked(body)
    if "server_capabilities" in document:
        document["server_capabilities"] = "<capabilities>"
    if "control_plane" in document:
        document["control_plane"].pop("contract")
    return document


def check_refusal(recording: dict[str, Any], answer: Answer) -> None:
    name, expected = recording["name"], recording["response"]
    assert answer.status == OTHER_STATUS.get(name, expected["status"])
    assert answer.headers["Access-Control-Allow-Origin"] == "*"
    assert "X-Powered-By" not in answer.headers
    if expected["status"] < 400 or (expected["body"] is None and name != "root_404"):
        return
    body = comparable(answer.body)
    if name in FRAMEWORK_PAGES:
        assert set(body) >= {"message", "reason"}
        return
    wanted = dict(expected["body"])
    if "protocol_version" in wanted:
        # Workers of any age find the sentence under both names
        # (client-compatibility.md); the reference picks one of them.
        sentence = wanted.get("message", wanted.get("error"))
        wanted["message"] = wanted["error"] = sentence
    assert body == wanted
    for header, value in expected["headers"].items():
        assert answer.headers[header] == value


AUTH_FAMILIES = {
    "auth_none": ("none", Credentials(), Credentials()),
    "auth_legacy": ("token", Credentials(shared="shared-token"), Credentials()),
    "auth_unconfigured": ("token", Credentials(), Credentials()),
    "auth_signature": ("signature", TOKENS, SIGNATURE_KEYS),
}


@pytest.mark.parametrize("family", AUTH_FAMILIES)
async def test_other_ways_of_authentication(family: str) -> None:
    driver, tokens, keys = AUTH_FAMILIES[family]
    authenticator = build_authenticator(driver, tokens=tokens, signature_keys=keys)
    node = Node(advertised=ADVERTISED, authenticator=authenticator)
    replayed = 0
    async with serving(node.pipeline(ROUTES)) as client:
        for recording in load(family):
            path = recording["request"]["path"]
            if path in ("/api/health", "/api/ready", "/api/cluster/info"):
                continue
            check_refusal(recording, await replay(client, recording))
            replayed += 1
    assert replayed >= 2


def topology_cases() -> list[Any]:
    """Recordings by node; each name is ``shape/class: case``."""
    return [
        pytest.param(recording, id=recording["name"])
        for recording in load("topology")
        if recording["request"]["path"] not in ("/api/health", "/api/ready")
    ]


@pytest.mark.parametrize("recording", topology_cases())
async def test_topology_gate(recording: dict[str, Any]) -> None:
    place = recording["name"].partition(":")[0]
    shape, _, process_class = place.partition("/")
    node = Node(
        shape=Shape(shape),
        process_class=ProcessClass(process_class),
        advertised=ADVERTISED,
    )
    async with serving(node.pipeline(ROUTES)) as client:
        check_refusal(recording, await replay(client, recording))

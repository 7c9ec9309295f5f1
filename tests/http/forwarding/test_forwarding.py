"""A request that another node answers: what arrives there, and what comes back."""

from __future__ import annotations

import asyncio
import gzip
from typing import Any

import orjson
import pytest

from dwserver.http.auth.access import Attempt
from dwserver.http.auth.authenticator import AuthState, AuthStatus
from dwserver.http.auth.principal import Principal
from dwserver.http.call import Call, Refusal, Reply
from dwserver.http.forwarding.credential import (
    FORWARDED_HEADER,
    MAX_BYTES,
    Signed,
    sign,
)
from dwserver.http.origin import Origin
from dwserver.services.catalog import Services
from dwserver.topology.shapes import ProcessClass
from tests.http.forwarding.raw_peer import HOST
from tests.http.forwarding.stage import (
    KEY,
    POLL,
    POLL_BODY,
    ROUTES,
    Setting,
    ingress,
    node,
)
from tests.http.harness import CONTROL, NOW, WORKER, Answer, Node, client_of, serving

CONTROL_PLANE = ProcessClass.CONTROL_PLANE_NODE
MATCHING = ProcessClass.MATCHING_NODE
HISTORY = "/api/workflows/w/runs/r/history"
COMPLETE = "/api/worker/workflow-tasks/t1/complete"
LIST = "/api/workflows"
BIG = b'{"text":"%s"}' % (b"0123456789abcdef" * 200_000)


def seen(answer: Answer) -> Any:
    assert answer.status == 200, answer.raw
    return answer.body["seen"]


@pytest.mark.parametrize(
    ("method", "path", "expected"),
    [
        ("GET", "/api/namespaces", "control"),
        ("POST", "/api/worker/register", "matching"),
        ("POST", POLL, "matching"),
        ("GET", HISTORY, "history"),
    ],
)
async def test_each_family_finds_its_node(
    method: str, path: str, expected: str
) -> None:
    headers = WORKER if expected == "matching" else CONTROL
    projecting = ProcessClass.HISTORY_PROJECTION_NODE
    async with (
        node(CONTROL_PLANE, node_id="control") as control,
        node(MATCHING, node_id="matching") as matching,
        node(projecting, node_id="history") as history,
    ):
        # A control-plane node projects history as well.
        first = [history] if expected == "history" else [control]
        async with ingress(*first, matching) as front:
            answer = await front.client.send(method, path, headers)
            assert seen(answer)["node"] == expected
            assert front.outcomes == ["answered"]


async def test_an_answer_is_the_one_that_the_node_itself_gives() -> None:
    async def refuse(_services: Services, _call: Call) -> Reply:
        raise Refusal(404, "instance_not_found", "No such workflow.", hint="look")

    handlers = {"describe": refuse}
    direct = Node().pipeline(ROUTES)
    async with (
        node(handlers=handlers) as peer,
        ingress(peer) as front,
        serving(direct) as alone,
    ):
        headers = CONTROL | {"X-Request-Id": "r-1"}
        refused = await front.client.send("GET", "/api/workflows/w", headers)
        assert (refused.status, refused.body["hint"]) == (404, "look")
        assert refused.body["control_plane"]["operation"] == "describe"
        through = await front.client.send("GET", "/api/namespaces", headers)
        itself = await alone.send("GET", "/api/namespaces", headers)
        assert through.status == itself.status
        assert set(through.headers) == set(itself.headers)
        assert through.headers["X-Durable-Workflow-Control-Plane-Version"] == "2"


async def test_the_request_arrives_as_it_was_sent() -> None:
    body = {"worker_id": "w1", "task_queue": "q", "text": "ü"}
    headers = WORKER | {
        "X-Namespace": "Default",
        "X-Correlation-Id": "c-1",
        "User-Agent": "sdk/2",
        "Accept-Encoding": "identity",
    }
    path = f"{POLL}?a=%20b&namespace=other"
    async with node(MATCHING) as peer, ingress(peer) as front:
        found = seen(await front.client.send_json("POST", path, headers, body=body))
    assert found["method"] == "POST"
    assert found["path"] == path
    assert found["body"] == body
    assert found["namespace"] == "default"
    for name in ("x-namespace", "x-correlation-id", "user-agent", "accept-encoding"):
        original = next(v for k, v in headers.items() if k.lower() == name)
        assert found["headers"][name] == original


async def test_principal_and_client_are_those_of_the_ingress() -> None:
    async with node(MATCHING) as peer, ingress(peer) as front:
        context = seen(await front.client.send("POST", POLL, WORKER))["context"]
    assert context["auth"]["status"] == "authorized"
    assert context["auth"]["method"] == "token"
    assert context["auth"]["principal"]["subject"] == "role:worker"
    assert context["request"]["ip"] == HOST


async def test_the_address_is_the_clients_not_that_of_the_ingress() -> None:
    """Sent by hand: on one machine both have the same address."""
    signed = Signed(method="POST", target=POLL, namespace="default", body=b"")
    header = sign(
        KEY,
        signed,
        principal=Principal(subject="ann", roles=("worker",), method="oidc"),
        origin=Origin(address="10.9.8.7", scheme="https", request_id="r-7"),
        issued_at=NOW,
    )
    version = {k: v for k, v in WORKER.items() if k != "Authorization"}
    async with node(MATCHING) as peer:
        port = int(peer.address.rpartition(":")[2])
        async with client_of(port) as client:
            answer = await client.send(
                "POST", POLL, version | {FORWARDED_HEADER: header}
            )
            context = seen(answer)["context"]
            assert context["request"]["ip"] == "10.9.8.7"
            assert context["auth"]["principal"]["subject"] == "ann"
            assert answer.headers["X-Request-Id"] == "r-7"


async def test_secrets_and_lines_of_the_connection_stay_behind() -> None:
    headers = WORKER | {
        "Connection": "keep-alive, X-Private",
        "X-Private": "1",
        "X-Signature": "abc",
        "Keep-Alive": "timeout=5",
        "TE": "trailers",
    }
    async with node(MATCHING) as peer, ingress(peer) as front:
        found = seen(await front.client.send("POST", POLL, headers))["headers"]
    dropped = {"authorization", "connection", "x-private", "x-signature", "te"}
    assert not dropped & set(found)
    assert FORWARDED_HEADER.lower() in found


async def test_a_client_cannot_talk_away_what_its_request_is_about() -> None:
    named = "Host, Content-Type, X-Namespace, X-Durable-Workflow-Protocol-Version"
    headers = WORKER | {"Connection": f"close, {named}"}
    unknown = headers | {"X-Namespace": "unknown"}
    async with node(MATCHING) as peer, ingress(peer) as front:
        answer = await front.client.send_json("POST", POLL, headers, body=POLL_BODY)
        assert seen(answer)["body"] == POLL_BODY
        answer = await front.client.send_json("POST", POLL, unknown, body=POLL_BODY)
        assert (answer.status, answer.body["namespace"]) == (404, "unknown")
        assert front.outcomes == ["answered"] * 2


@pytest.mark.parametrize("header", ["", "forged", "1 2 3 4 5"])
async def test_a_client_cannot_bring_a_header_of_its_own(header: str) -> None:
    async with node(MATCHING) as peer, ingress(peer) as front:
        forged = WORKER | {FORWARDED_HEADER: header}
        answer = await front.client.send("POST", POLL, forged)
        assert (answer.status, answer.body["reason"]) == (401, "unauthorized")
        assert front.outcomes == []


async def test_a_forwarded_request_is_not_passed_on_again() -> None:
    signed = Signed(method="POST", target=POLL, namespace="default", body=b"")
    header = sign(
        KEY,
        signed,
        principal=Principal(subject="ann", roles=("worker",)),
        origin=Origin(address=None, scheme="http", request_id="r-1"),
        issued_at=NOW,
    )
    async with node(MATCHING) as peer, ingress(peer) as front:
        answer = await front.client.send(
            "POST", POLL, WORKER | {FORWARDED_HEADER: header}
        )
        assert answer.status == 503
        assert answer.body["reason"] == "topology_role_unavailable"
        assert answer.body["required_roles"] == ["matching"]
        assert front.outcomes == []


async def test_a_clients_own_request_id_is_kept() -> None:
    async with node(MATCHING) as peer, ingress(peer) as front:
        headers = WORKER | {"X-Request-Id": "mine"}
        answer = await front.client.send("POST", POLL, headers)
        assert answer.headers["X-Request-Id"] == "mine"
        assert seen(answer)["request_id"] == "mine"
        assert seen(answer)["context"]["request"]["request_id"] == "mine"


async def test_a_request_has_one_id_on_both_nodes() -> None:
    """One that the ingress made up is none that the client sent: requests that are
    repeated have the same context."""
    async with node(MATCHING) as peer, ingress(peer) as front:
        answer = await front.client.send("POST", POLL, WORKER)
        assert answer.headers["X-Request-Id"] == seen(answer)["request_id"]
        assert "request_id" not in seen(answer)["context"]["request"]
        again = await front.client.send("POST", POLL, WORKER)
        assert seen(again)["request_id"] != seen(answer)["request_id"]
        assert seen(again)["context"] == seen(answer)["context"]


@pytest.mark.parametrize(
    ("path", "headers", "sent", "status", "reason"),
    [
        (POLL, WORKER, b"{", 400, "malformed_json"),
        (POLL, CONTROL, b"{}", 403, "forbidden"),
        (POLL, {}, b"{}", 401, "unauthorized"),
        (
            POLL,
            {"Authorization": "Bearer worker-token"},
            b"{}",
            400,
            "missing_protocol_version",
        ),
        ("/api/nothing", WORKER, b"{}", 404, "not_found"),
    ],
)
async def test_what_the_ingress_refuses_goes_nowhere(
    path: str, headers: dict[str, str], sent: bytes, status: int, reason: str
) -> None:
    typed = headers | {"Content-Type": "application/json"}
    async with node(MATCHING) as peer, ingress(peer) as front:
        answer = await front.client.send("POST", path, typed, body=sent)
        assert (answer.status, answer.body["reason"]) == (status, reason)
        assert front.outcomes == []


async def test_an_unknown_namespace_is_found_by_the_node_that_answers() -> None:
    async with node() as peer, ingress(peer) as front:
        headers = CONTROL | {"X-Namespace": "nowhere"}
        answer = await front.client.send("GET", LIST, headers)
        assert (answer.status, answer.body["reason"]) == (404, "namespace_not_found")


@pytest.mark.parametrize("is_compressed", [False, True])
async def test_big_answers_come_through_unchanged(is_compressed: bool) -> None:
    async def send_big(_services: Services, _call: Call) -> Reply:
        return Reply(200, BIG)

    wanted = {"Accept-Encoding": "gzip"} if is_compressed else {}
    async with node(handlers={"index": send_big}) as peer, ingress(peer) as front:
        for _ in range(2):
            answer = await front.client.send("GET", "/api/namespaces", CONTROL | wanted)
            raw = gzip.decompress(answer.raw) if is_compressed else answer.raw
            assert orjson.loads(raw) == orjson.loads(BIG)
        assert front.forwarder.connections.counts() == (0, 1)


async def test_a_big_request_arrives_whole() -> None:
    body = {"worker_id": "w1", "task_queue": "q", "text": "x" * 1_500_000}
    async with node(MATCHING) as peer, ingress(peer) as front:
        found = seen(await front.client.send_json("POST", POLL, WORKER, body=body))
        assert found["body"] == body


async def test_connections_are_kept_for_the_next_request() -> None:
    async with node(MATCHING) as peer, ingress(peer) as front:
        for _ in range(5):
            await front.client.send("POST", POLL, WORKER)
        assert front.forwarder.connections.counts() == (0, 1)
        await asyncio.gather(
            *(front.client.send("POST", POLL, WORKER) for _ in range(8))
        )
        busy, idle = front.forwarder.connections.counts()
        assert busy == 0
        assert 1 <= idle <= 8


async def test_polls_of_a_queue_meet_on_one_node() -> None:
    async with (
        node(MATCHING, node_id="a") as a,
        node(MATCHING, node_id="b") as b,
        ingress(a, b) as front,
        ingress(b, a) as other,
    ):
        places: dict[str, set[str]] = {}
        for queue in (f"q{i}" for i in range(12)):
            for entry in (front, other):
                body = POLL_BODY | {"task_queue": queue, "worker_id": f"w-{queue}"}
                polled = await entry.client.send_json("POST", POLL, WORKER, body=body)
                places.setdefault(queue, set()).add(seen(polled)["node"])
            done = {"lease_owner": f"w-{queue}"}
            sent = await front.client.send_json("POST", COMPLETE, WORKER, body=done)
            places[queue].add(seen(sent)["node"])
        assert all(len(nodes) == 1 for nodes in places.values())
        assert set().union(*places.values()) == {"a", "b"}


async def test_a_control_plane_node_prefers_matching_nodes_for_polls() -> None:
    setting = Setting(process_class=CONTROL_PLANE)
    async with (
        node(MATCHING, node_id="matching") as matching,
        ingress(setting=setting) as front,
    ):
        alone = await front.client.send("POST", POLL, WORKER)
        assert seen(alone)["node"] == "peer"
        front.live.append(matching)
        front.forwarder.connections.refresh()
        found = await front.client.send("POST", POLL, WORKER)
        assert seen(found)["node"] == "matching"
        own = await front.client.send("GET", LIST, CONTROL)
        assert seen(own)["node"] == "peer"


class Crowded:
    """Lets everybody in with more claims than fit in a header."""

    async def admit(self, attempt: Attempt) -> Principal:
        claims = {"groups": "x" * MAX_BYTES}
        return Principal(subject="ann", roles=("worker",), claims=claims)

    def state(self) -> AuthState:
        return AuthState(AuthStatus.OK, "custom")


async def test_a_principal_that_fits_in_no_header_is_told() -> None:
    setting = Setting(node={"access": Crowded()})
    async with node(MATCHING) as peer, ingress(peer, setting=setting) as front:
        answer = await front.client.send("POST", POLL, WORKER)
        assert (answer.status, answer.body["reason"]) == (500, "server_error")


async def test_discovery_is_about_the_ingress_itself() -> None:
    """The routes that every node answers are passed on by nobody."""
    async with node() as peer, ingress(peer) as front:
        answer = await front.client.send("OPTIONS", LIST, CONTROL)
        assert answer.status == 200
        assert front.outcomes == []


async def test_heads_of_answers_come_without_their_bodies() -> None:
    async with node() as peer, ingress(peer) as front:
        got = await front.client.send("GET", "/api/namespaces", CONTROL)
        for _ in range(2):
            head = await front.client.send("HEAD", "/api/namespaces", CONTROL)
            assert (head.status, head.raw) == (200, b"")
            assert set(head.headers) == set(got.headers)
            assert int(head.headers["Content-Length"]) > 100

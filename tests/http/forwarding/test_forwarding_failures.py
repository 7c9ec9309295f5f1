"""A request that another node was to answer and did not, in every way in which that
happens, and what ends a request that is held."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import replace

import aiohttp
import pytest

from dwserver.http.call import Call, Reply
from dwserver.http.forwarding import forwarder as forwarder_module
from dwserver.http.forwarding import peer_pool
from dwserver.http.forwarding.breaker import FAILURES_TO_OPEN
from dwserver.http.forwarding.credential import FORWARDED_HEADER, forwarding_key
from dwserver.http.forwarding.peer_connection import PeerConnection
from dwserver.services.catalog import Services
from dwserver.topology.peers import Peer
from dwserver.topology.shapes import ProcessClass
from tests.http.forwarding.raw_peer import (
    HOST,
    Behaviour,
    RawConnection,
    RawPeer,
    peer_at,
    raw_peer,
    until,
)
from tests.http.forwarding.stage import (
    POLL,
    POLL_BODY,
    Ingress,
    Setting,
    ingress,
    node,
)
from tests.http.harness import CONTROL, WORKER, Answer
from tests.support.ports import free_port

CONTROL_PLANE = ProcessClass.CONTROL_PLANE_NODE
MATCHING = ProcessClass.MATCHING_NODE
LIST = "/api/workflows"
START = "/api/workflows"
COMPLETE = "/api/worker/workflow-tasks/t1/complete"
PART = b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\nfirst"


async def break_off(connection: RawConnection) -> None:
    await connection.request()
    connection.reset()


async def stay_silent(connection: RawConnection) -> None:
    await connection.request()
    await connection.is_closed_by_client()


def writing(data: bytes) -> Behaviour:
    async def behave(connection: RawConnection) -> None:
        await connection.request()
        await connection.write(data)

    return behave


@asynccontextmanager
async def two_nodes(
    first: Behaviour, process_class: ProcessClass = CONTROL_PLANE
) -> AsyncIterator[tuple[RawPeer, Ingress]]:
    """A node that behaves so, asked first, and one that is well."""
    async with (
        raw_peer(first) as bad,
        node(process_class, node_id="well") as well,
        ingress() as front,
    ):
        join(front, bad.peer("bad", process_class), well)
        yield bad, front


def join(front: Ingress, *peers: Peer) -> None:
    """They are asked in this order."""
    front.live[:] = peers
    front.forwarder.connections.refresh()
    choice = front.forwarder.connections._choice
    choice.order = lambda family, key: choice.peers  # type: ignore[method-assign]


def check_lost(answer: Answer, *, is_worker: bool = False) -> None:
    assert answer.status == 503, answer.raw
    assert answer.body["reason"] == "backend_unavailable"
    assert answer.body["retryable"] is True
    assert answer.headers["Retry-After"] == "1"
    assert answer.body["error_id"] == answer.headers["X-Request-Id"]
    if is_worker:
        assert answer.body["error"] == answer.body["message"]
        assert answer.body["protocol_version"] == "1.20"


def place(answer: Answer) -> str:
    assert answer.status == 200, answer.raw
    return str(answer.body["seen"]["node"])


@pytest.mark.parametrize(
    ("method", "path", "headers", "present"),
    [
        ("GET", LIST, CONTROL, MATCHING),
        ("POST", POLL, WORKER, ProcessClass.HISTORY_PROJECTION_NODE),
        ("GET", "/api/workflows/w/runs/r/history", CONTROL, MATCHING),
    ],
)
async def test_nobody_to_ask(
    method: str, path: str, headers: dict[str, str], present: ProcessClass
) -> None:
    async with node(present) as peer, ingress(peer) as front:
        answer = await front.client.send(method, path, headers)
        assert answer.status == 503
        body = answer.body
        assert body["reason"] == "topology_role_unavailable"
        assert body["current_shape"] == "split_control_execution"
        assert body["current_process_class"] == "ingress_node"
        assert body["current_roles"] == ["api_ingress"]
        assert body["required_roles"] == ["api_ingress", "control_plane"]
        assert body["missing_roles"] == ["control_plane"]
        assert ("protocol_version" in body) is (headers is WORKER)
        assert ("control_plane" in body) is (headers is CONTROL)
        assert front.outcomes == ["unavailable"]


async def test_a_node_that_joins_is_found_by_the_next_request() -> None:
    async with node() as peer, ingress() as front:
        assert (await front.client.send("GET", LIST, CONTROL)).status == 503
        front.live.append(peer)
        assert (await front.client.send("GET", LIST, CONTROL)).status == 200


async def test_requests_wait_for_the_first_node_and_look_together() -> None:
    async with AsyncExitStack() as stack:
        peer = await stack.enter_async_context(node())
        looks = 0

        async def look() -> None:
            nonlocal looks
            looks += 1
            if looks == 2:
                front.live.append(peer)

        front = await stack.enter_async_context(ingress(setting=Setting(look=look)))
        sent = [front.client.send("GET", LIST, CONTROL) for _ in range(20)]
        answers = await asyncio.gather(*sent)
        assert {answer.status for answer in answers} == {200}
        assert looks == 2


async def test_requests_wait_for_another_when_nobody_can_be_reached() -> None:
    async with AsyncExitStack() as stack:
        peer = await stack.enter_async_context(node(node_id="late"))

        async def look() -> None:
            front.live.append(peer)

        gone = peer_at(free_port(), "gone")
        setting = Setting(look=look)
        front = await stack.enter_async_context(ingress(gone, setting=setting))
        assert place(await front.client.send("POST", START, CONTROL)) == "late"


async def test_nobody_waits_for_ever_for_the_first_node(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(forwarder_module, "PATIENCE_SECONDS", 0.1)

    async def look() -> None:
        await asyncio.sleep(3600)

    async with ingress(setting=Setting(look=look)) as front:
        assert (await front.client.send("GET", LIST, CONTROL)).status == 503


@pytest.mark.parametrize(("method", "path"), [("GET", LIST), ("POST", START)])
async def test_a_node_that_cannot_be_reached_is_passed_over(
    method: str, path: str
) -> None:
    """Nothing was sent, so commands may go to the next one as well."""
    async with node(node_id="well") as well, ingress() as front:
        join(front, peer_at(free_port(), "gone"), well)
        assert place(await front.client.send(method, path, CONTROL)) == "well"
        assert front.outcomes == ["answered"]


async def test_when_no_node_can_be_reached_it_is_as_if_there_were_none() -> None:
    async with ingress(peer_at(free_port(), "gone")) as front:
        answer = await front.client.send("POST", START, CONTROL)
        assert answer.body["reason"] == "topology_role_unavailable"


async def test_the_control_plane_answers_polls_when_matching_is_down() -> None:
    gone = peer_at(free_port(), "gone", MATCHING)
    async with node(node_id="control") as control, ingress(gone, control) as front:
        assert place(await front.client.send("POST", POLL, WORKER)) == "control"


@pytest.mark.parametrize(
    "behaviour",
    [
        break_off,
        writing(b""),
        writing(b"HTTP/1.1 200 OK\r\nContent-Le"),
        writing(b"220 mail.example.org ESMTP\r\n\r\n"),
    ],
)
async def test_commands_are_sent_once(behaviour: Behaviour) -> None:
    async with two_nodes(behaviour) as (bad, front):
        answer = await front.client.send("POST", START, CONTROL)
        check_lost(answer)
        assert answer.body["control_plane"]["operation"] == "start"
        assert len(bad.connections) == 1
        assert front.outcomes == ["lost"]


async def test_reports_of_workers_are_sent_once() -> None:
    async with two_nodes(break_off, MATCHING) as (bad, front):
        answer = await front.client.send("POST", COMPLETE, WORKER)
        check_lost(answer, is_worker=True)
        assert len(bad.connections) == 1


@pytest.mark.parametrize(
    ("method", "path", "headers"),
    [("GET", LIST, CONTROL), ("HEAD", LIST, CONTROL), ("POST", POLL, WORKER)],
)
async def test_reads_and_polls_go_to_another_node_once(
    method: str, path: str, headers: dict[str, str]
) -> None:
    async with two_nodes(break_off) as (bad, front):
        answer = await front.client.send(method, path, headers)
        assert answer.status == 200
        assert len(bad.connections) == 1
        assert front.outcomes == ["answered"]


async def test_a_poll_that_was_held_for_long_ends_with_its_node(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Its client does not listen for twice as long as it asked for."""
    monkeypatch.setattr(forwarder_module, "_REPEAT_SECONDS", -1.0)
    async with two_nodes(break_off, MATCHING) as (_, front):
        answer = await front.client.send("POST", POLL, WORKER)
        assert answer.status == 200
        assert answer.body["poll_status"] == "empty"
        assert front.outcomes == ["released"]


@pytest.mark.parametrize(
    ("method", "path", "headers", "body"),
    [("GET", LIST, CONTROL, None), ("POST", COMPLETE, WORKER, None)],
)
async def test_a_node_that_takes_no_requests_from_this_one_is_passed_over(
    method: str, path: str, headers: dict[str, str], body: bytes | None
) -> None:
    other_key = forwarding_key("another key")
    async with (
        node(CONTROL_PLANE, node_id="other-key", key=other_key) as stranger,
        node(ProcessClass.SCHEDULER_NODE, node_id="moved") as scheduler,
        node(CONTROL_PLANE, node_id="well") as well,
        ingress() as front,
    ):
        # Listed as what it was before it came back as another class.
        moved = replace(scheduler, roles=well.roles)
        join(front, stranger, moved, well)
        for _ in range(FAILURES_TO_OPEN):
            answer = await front.client.send(method, path, headers, body=body)
            assert place(answer) == "well"
            assert FORWARDED_HEADER not in answer.headers
        assert sorted(front.unreachable) == ["moved", "other-key"]


async def test_a_node_that_does_not_trust_this_one_is_not_the_clients_fault() -> None:
    async with (
        node(CONTROL_PLANE, key=forwarding_key("another key")) as peer,
        ingress(peer) as front,
    ):
        answer = await front.client.send("GET", LIST, CONTROL)
        assert answer.status == 503, answer.raw
        assert answer.body["reason"] == "topology_role_unavailable"
        assert front.outcomes == ["unavailable"]


async def test_reads_are_not_sent_round_a_broken_cluster() -> None:
    async with (
        raw_peer(break_off) as one,
        raw_peer(break_off) as two,
        raw_peer(break_off) as three,
        ingress(one.peer("1"), two.peer("2"), three.peer("3")) as front,
    ):
        check_lost(await front.client.send("GET", LIST, CONTROL))
        assert sum(len(each.connections) for each in (one, two, three)) == 2


async def test_an_answer_that_has_begun_is_not_begun_again() -> None:
    """The client sees that it is not whole: its connection ends too early."""
    async with two_nodes(writing(PART)) as (bad, front):
        with pytest.raises(aiohttp.ClientPayloadError):
            await front.client.send("GET", LIST, CONTROL)
        assert len(bad.connections) == 1
        assert front.forwarder.connections.counts()[0] == 0


async def test_a_node_that_does_not_answer_in_time(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """It has had its time; a second node would take as long again."""
    monkeypatch.setattr(forwarder_module, "ANSWER_SECONDS", 0.0)
    async with two_nodes(stay_silent) as (bad, front):
        sent = asyncio.create_task(front.client.send("GET", LIST, CONTROL))
        await until(lambda: bad.connections)
        await until(lambda: refreshed(front) and sent.done())
        check_lost(await sent)
        assert front.outcomes == ["lost"]


def refreshed(front: Ingress) -> bool:
    front.forwarder.connections.refresh()
    return True


async def test_a_connection_that_the_node_closed_meanwhile_costs_nothing() -> None:
    async def answer_once(connection: RawConnection) -> None:
        await connection.request()
        await connection.write(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}")

    async with raw_peer(answer_once) as peer, ingress(peer.peer()) as front:
        for _ in range(3):
            answer = await front.client.send("POST", "/api/namespaces", CONTROL_ADMIN)
            assert answer.raw == b"{}"
            await until(lambda: not usable(front))
        assert len(peer.connections) == 3


def usable(front: Ingress) -> list[PeerConnection]:
    pools = front.forwarder.connections._pools.values()
    return [each for pool in pools for each in pool.idle if each.is_usable]


CONTROL_ADMIN = CONTROL | {"Authorization": "Bearer admin-token"}


async def test_a_node_that_fails_again_and_again_is_left_alone() -> None:
    async with raw_peer(break_off) as bad, ingress(bad.peer("bad")) as front:
        for _ in range(FAILURES_TO_OPEN):
            check_lost(await front.client.send("POST", START, CONTROL))
        answer = await front.client.send("POST", START, CONTROL)
        assert answer.body["reason"] == "topology_role_unavailable"
        assert len(bad.connections) == FAILURES_TO_OPEN
        assert front.unreachable == ["bad"]


async def test_a_node_that_is_back_is_asked_again(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("dwserver.http.forwarding.breaker.OPEN_SECONDS", 0.0)
    port = free_port()
    async with ingress(peer_at(port)) as front:
        for _ in range(FAILURES_TO_OPEN + 1):
            assert (await front.client.send("POST", START, CONTROL)).status == 503
        async with node() as peer:
            front.live[:] = [peer]
            front.forwarder.connections.refresh()
            assert (await front.client.send("POST", START, CONTROL)).status == 200


async def test_a_silent_node_is_asked_last(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(peer_pool, "SILENCE_SECONDS", -1.0)
    async with two_nodes(stay_silent) as (bad, front):
        hanging = asyncio.create_task(front.client.send("POST", START, CONTROL))
        await until(lambda: bad.connections)
        front.forwarder.connections.refresh()
        answer = await front.client.send("POST", START, CONTROL)
        assert place(answer) == "well"
        bad.connections[0].reset()
        check_lost(await hanging)


async def test_a_poll_moves_when_its_node_has_left(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(peer_pool, "DEPARTED_SECONDS", -1.0)
    async with two_nodes(stay_silent, MATCHING) as (bad, front):
        polling = asyncio.create_task(front.client.send("POST", POLL, WORKER))
        await until(lambda: bad.connections)
        del front.live[0]
        front.forwarder.connections.refresh()
        assert place(await polling) == "well"
        front.forwarder.connections.refresh()
        assert len(front.forwarder.connections._pools) == 1


@asynccontextmanager
async def polled(front: Ingress) -> AsyncIterator[asyncio.StreamWriter]:
    """A client that polls over a connection of its own."""
    reader, writer = await asyncio.open_connection(HOST, front.server.port)
    lines = "".join(f"{name}: {value}\r\n" for name, value in WORKER.items())
    writer.write(f"POST {POLL} HTTP/1.1\r\nHost: x\r\n{lines}\r\n".encode())
    try:
        yield writer
    finally:
        writer.close()
        del reader


async def test_the_node_learns_at_once_that_a_polling_client_has_gone() -> None:
    """No sweep, no time limit: it must not lease a task to nobody."""
    gone = asyncio.Event()

    async def watch(connection: RawConnection) -> None:
        await connection.request()
        assert await connection.is_closed_by_client()
        gone.set()

    async with raw_peer(watch) as peer:
        matching = peer.peer("m", MATCHING)
        async with ingress(matching) as front:
            async with polled(front):
                await until(lambda: peer.connections)
            await asyncio.wait_for(gone.wait(), 10)
            await until(lambda: front.outcomes == ["client_gone"])
            assert front.forwarder.connections.counts() == (0, 0)


async def test_a_real_node_sees_the_poll_end() -> None:
    disconnected = asyncio.Event()

    async def hold(_services: Services, call: Call) -> Reply:
        await until(lambda: not call.is_connected())
        disconnected.set()
        return Reply(200, b'{"task":null,"poll_status":"empty"}')

    handlers = {"poll_workflow_tasks": hold}
    async with node(MATCHING, handlers=handlers) as peer, ingress(peer) as front:
        async with polled(front):
            await until(lambda: front.forwarder.connections.counts() == (1, 0))
        await asyncio.wait_for(disconnected.wait(), 10)


async def test_a_client_that_goes_while_it_reads_frees_the_connection() -> None:
    async def endless(connection: RawConnection) -> None:
        await connection.request()
        await connection.write(b"HTTP/1.1 200 OK\r\nContent-Length: 999999999\r\n\r\n")
        while True:
            await connection.write(b"x" * 65536)

    async with raw_peer(endless) as peer, ingress(peer.peer("m", MATCHING)) as front:
        async with polled(front):
            await until(lambda: front.outcomes == ["answered"])
        await until(lambda: front.forwarder.connections.counts() == (0, 0))


async def test_the_end_of_the_ingress_releases_polls() -> None:
    cut = asyncio.Event()

    async def hold(connection: RawConnection) -> None:
        await stay_silent(connection)
        cut.set()

    async with raw_peer(hold) as peer, ingress(peer.peer("m", MATCHING)) as front:
        sent = front.client.send_json("POST", POLL, WORKER, body=POLL_BODY)
        polling = asyncio.create_task(sent)
        await until(lambda: peer.connections)
        front.forwarder.release_polls()
        later = await front.client.send("POST", POLL, WORKER)
        for answer in (await polling, later):
            assert answer.status == 200
            assert answer.body["task"] is None
            assert answer.body["poll_status"] == "empty"
            assert answer.body["protocol_version"] == "1.20"
        assert len(peer.connections) == 1
        await asyncio.wait_for(cut.wait(), 10)
        assert front.outcomes == ["released", "released"]


async def test_the_end_of_the_ingress_lets_other_requests_finish() -> None:
    finish = asyncio.Event()

    async def slow(_services: Services, _call: Call) -> Reply:
        await finish.wait()
        return Reply(201, {"outcome": "started_new"})

    async with node(handlers={"start": slow}) as peer, ingress(peer) as front:
        starting = asyncio.create_task(front.client.send("POST", START, CONTROL))
        await until(lambda: front.forwarder.connections.counts() == (1, 0))
        front.forwarder.release_polls()
        finish.set()
        assert (await starting).status == 201


async def test_what_does_not_finish_at_the_end_is_ended(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(forwarder_module, "_LAST_SECONDS", 0.0)
    async with raw_peer(stay_silent) as peer, ingress(peer.peer()) as front:
        reading = asyncio.create_task(front.client.send("GET", LIST, CONTROL))
        await until(lambda: peer.connections)
        front.forwarder.release_polls()
        await until(lambda: refreshed(front) and reading.done())
        check_lost(await reading)


async def test_too_many_polls_are_refused_and_leave_room_for_commands() -> None:
    async def hold_polls(connection: RawConnection) -> None:
        while b"/poll" not in await connection.request():
            await connection.write(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}")
        await connection.is_closed_by_client()

    setting = Setting(connections=8)
    async with AsyncExitStack() as stack:
        peer = await stack.enter_async_context(raw_peer(hold_polls))
        matching = peer.peer("m", MATCHING)
        front = await stack.enter_async_context(ingress(matching, setting=setting))
        polls = [
            asyncio.create_task(front.client.send("POST", POLL, WORKER))
            for _ in range(7)
        ]
        await until(lambda: front.forwarder.connections.counts() == (7, 0))
        refused = await front.client.send("POST", POLL, WORKER)
        assert refused.status == 429
        assert refused.body["reason"] == "long_poll_capacity_exhausted"
        assert refused.headers["Retry-After"] == "1"
        assert front.outcomes == ["busy"]
        done = await front.client.send("POST", COMPLETE, WORKER)
        assert done.status == 200
        front.forwarder.release_polls()
        assert {(await poll).status for poll in polls} == {200}


async def test_more_requests_than_connections_wait_and_then_are_refused(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(peer_pool, "ACQUIRE_SECONDS", 0.01)
    setting = Setting(connections=1)
    async with AsyncExitStack() as stack:
        peer = await stack.enter_async_context(raw_peer(stay_silent))
        front = await stack.enter_async_context(ingress(peer.peer(), setting=setting))
        first = asyncio.create_task(front.client.send("POST", START, CONTROL))
        await until(lambda: peer.connections)
        answer = await front.client.send("POST", START, CONTROL)
        check_lost(answer)
        assert "Nothing was done" in answer.body["message"]
        assert front.outcomes == ["busy"]
        peer.connections[0].reset()
        check_lost(await first)


async def test_requests_at_once_do_not_mix() -> None:
    async with node(MATCHING) as one, node(MATCHING, node_id="two") as two:
        # Some have to wait for a connection.
        setting = Setting(connections=32)
        async with ingress(one, two, setting=setting) as front:

            async def send(number: int) -> None:
                body = {"lease_owner": f"w{number}", "text": "x" * (number * 997)}
                path = f"/api/worker/workflow-tasks/t{number}/complete"
                answer = await front.client.send_json("POST", path, WORKER, body=body)
                assert answer.body["seen"]["body"] == body

            await asyncio.gather(*(send(number) for number in range(100)))
            assert front.forwarder.connections.counts()[0] == 0
            assert front.outcomes == ["answered"] * 100

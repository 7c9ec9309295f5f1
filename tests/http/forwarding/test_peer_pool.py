"""Connections to one node: kept, bounded, given up."""

from __future__ import annotations

import asyncio

import pytest

from dwserver.http.forwarding import peer_pool
from dwserver.http.forwarding.breaker import FAILURES_TO_OPEN, BreakerState
from dwserver.http.forwarding.peer_connection import AnswerLost, PeerConnection
from dwserver.http.forwarding.peer_pool import (
    DEPARTED_SECONDS,
    IDLE_SECONDS,
    SILENCE_SECONDS,
    AnswerTimedOut,
    ConnectFailed,
    PeerBusy,
    PeerPool,
    PoolLimits,
    TooManyPolls,
)
from dwserver.topology.peers import Peer
from tests.http.forwarding.raw_peer import RawConnection, peer_at, raw_peer, until
from tests.support.ports import free_port

REQUEST = b"GET /api/x HTTP/1.1\r\nContent-Length: 0\r\n\r\n"
ANSWER = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}"


async def answer_always(connection: RawConnection) -> None:
    while True:
        await connection.request()
        await connection.write(ANSWER)


async def stay_silent(connection: RawConnection) -> None:
    await connection.reader.read()


def pool_of(peer: Peer, connections: int = 8) -> PeerPool:
    return PeerPool(peer, PoolLimits.of(connections), on_breaker_opened=lambda: None)


async def asked(pool: PeerPool) -> PeerConnection:
    """A connection that has carried a request, back in the pool."""
    connection = await pool.acquire(is_held=False)
    await connection.send(REQUEST)
    pool.release(connection)
    return connection


def now() -> float:
    return asyncio.get_running_loop().time()


async def test_a_connection_is_used_again() -> None:
    async with raw_peer(answer_always) as peer:
        pool = pool_of(peer.peer())
        first = await asked(pool)
        assert await asked(pool) is first
        assert len(peer.connections) == 1


async def test_requests_at_once_have_connections_of_their_own() -> None:
    async with raw_peer(answer_always) as peer:
        pool = pool_of(peer.peer())
        taken = [await pool.acquire(is_held=False) for _ in range(3)]
        assert len(set(taken)) == 3
        for connection in taken:
            pool.release(connection)
        assert len(pool.idle) == 3


async def test_a_connection_that_the_peer_closed_is_not_used_again() -> None:
    async def answer_once(connection: RawConnection) -> None:
        await connection.request()
        await connection.write(ANSWER)

    async with raw_peer(answer_once) as peer:
        pool = pool_of(peer.peer())
        first = await asked(pool)
        await until(lambda: not first.is_usable)
        assert await asked(pool) is not first


async def test_beyond_the_limit_requests_wait_in_their_order() -> None:
    async with raw_peer(answer_always) as peer:
        pool = pool_of(peer.peer(), connections=2)
        taken = [await pool.acquire(is_held=False) for _ in range(2)]
        order: list[int] = []

        async def wait(number: int) -> None:
            connection = await pool.acquire(is_held=False)
            order.append(number)
            pool.release(connection)

        waiting = [asyncio.create_task(wait(number)) for number in range(2)]
        await asyncio.sleep(0)
        assert order == []
        pool.release(taken.pop())
        await asyncio.gather(*waiting)
        assert order == [0, 1]
        assert len(peer.connections) <= 2


async def test_whoever_waits_too_long_is_sent_elsewhere(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(peer_pool, "ACQUIRE_SECONDS", 0.01)
    async with raw_peer(answer_always) as peer:
        pool = pool_of(peer.peer(), connections=1)
        connection = await pool.acquire(is_held=False)
        with pytest.raises(PeerBusy):
            await pool.acquire(is_held=False)
        pool.release(connection)
        assert await asked(pool) is connection


@pytest.mark.parametrize("is_its_turn", [False, True])
async def test_whoever_stops_waiting_leaves_its_place_to_others(
    is_its_turn: bool,
) -> None:
    async with raw_peer(answer_always) as peer:
        pool = pool_of(peer.peer(), connections=2)
        taken = [await pool.acquire(is_held=False) for _ in range(2)]
        impatient = asyncio.create_task(pool.acquire(is_held=False))
        patient = asyncio.create_task(pool.acquire(is_held=False))
        await asyncio.sleep(0)
        if is_its_turn:
            pool.release(taken.pop())
        impatient.cancel()
        if not is_its_turn:
            pool.release(taken.pop())
        with pytest.raises(asyncio.CancelledError):
            await impatient
        taken.append(await patient)
        for connection in taken:
            pool.release(connection)
        again = [await pool.acquire(is_held=False) for _ in range(2)]
        assert len(set(again)) == 2
        assert pool.take(is_held=False) is None


async def test_a_free_connection_is_taken_without_waiting() -> None:
    async with raw_peer(answer_always) as peer:
        pool = pool_of(peer.peer(), connections=2)
        assert pool.take(is_held=False) is None
        connection = await asked(pool)
        assert pool.take(is_held=True) is connection
        # One of the two is left to other requests.
        other = await pool.acquire(is_held=False)
        pool.release(other)
        assert pool.take(is_held=True) is None
        assert pool.take(is_held=False) is other


async def test_an_open_breaker_closes_when_a_connection_is_still_there() -> None:
    async with raw_peer(answer_always) as peer:
        pool = pool_of(peer.peer())
        connection = await asked(pool)
        for _ in range(FAILURES_TO_OPEN):
            pool.failed(ConnectionError("elsewhere"))
        assert not pool.breaker.is_closed
        assert pool.take(is_held=False) is connection
        assert pool.breaker.is_closed


async def test_no_more_wait_than_there_are_connections() -> None:
    async with raw_peer(answer_always) as peer:
        pool = pool_of(peer.peer(), connections=1)
        connection = await pool.acquire(is_held=False)
        waiting = asyncio.create_task(pool.acquire(is_held=False))
        await asyncio.sleep(0)
        with pytest.raises(PeerBusy):
            await pool.acquire(is_held=False)
        pool.release(connection)
        assert await waiting is connection


async def test_polls_leave_connections_to_other_requests() -> None:
    async with raw_peer(answer_always) as peer:
        pool = pool_of(peer.peer(), connections=8)
        polls = [await pool.acquire(is_held=True) for _ in range(7)]
        with pytest.raises(TooManyPolls):
            await pool.acquire(is_held=True)
        await asked(pool)
        pool.release(polls.pop())
        pool.release(await pool.acquire(is_held=True))


async def test_a_node_that_is_not_there_is_noticed_at_once() -> None:
    opened: list[str] = []
    pool = PeerPool(
        peer_at(free_port()),
        PoolLimits.of(8),
        on_breaker_opened=lambda: opened.append("opened"),
    )
    for _ in range(FAILURES_TO_OPEN):
        with pytest.raises(ConnectFailed):
            await pool.acquire(is_held=True)
    assert opened == ["opened"]
    assert pool.breaker.state(now()) is BreakerState.OPEN
    assert pool.busy == {}


@pytest.mark.parametrize(
    "address", ["https://127.0.0.1:1", "nonsense", "http://", "http://a:b"]
)
async def test_an_address_that_leads_nowhere_is_a_node_that_is_not_there(
    address: str,
) -> None:
    peer = Peer(
        node_id="odd",
        process_class=peer_at(1).process_class,
        roles=peer_at(1).roles,
        address=address,
        version="1",
    )
    with pytest.raises(ConnectFailed):
        await pool_of(peer).acquire(is_held=False)


async def test_a_failed_connection_takes_no_room() -> None:
    pool = pool_of(peer_at(free_port()), connections=1)
    for _ in range(5):
        with pytest.raises(ConnectFailed):
            await pool.acquire(is_held=True)


async def test_an_answer_that_does_not_come_is_not_awaited_for_ever() -> None:
    async with raw_peer(stay_silent) as peer:
        pool = pool_of(peer.peer())
        connection = await pool.acquire(is_held=False)
        connection.deadline = now() + 90
        waiting = connection.send(REQUEST)
        pool.tidy(now() + 89)
        assert not waiting.done()
        pool.tidy(now() + 91)
        with pytest.raises(AnswerTimedOut):
            await waiting
        pool.release(connection)
        assert not pool.idle


async def test_unused_connections_are_closed_after_a_while() -> None:
    async with raw_peer(answer_always) as peer:
        pool = pool_of(peer.peer())
        connection = await asked(pool)
        pool.tidy(now() + IDLE_SECONDS - 1)
        assert pool.idle == [connection]
        pool.tidy(now() + IDLE_SECONDS + 1)
        assert pool.idle == []
        assert not connection.is_usable


async def test_a_node_that_says_nothing_is_known_as_silent_until_it_speaks() -> None:
    async with raw_peer(stay_silent) as peer:
        pool = pool_of(peer.peer())
        connection = await pool.acquire(is_held=False)
        connection.sent_at = now()
        pool.tidy(now() + SILENCE_SECONDS / 2)
        assert not pool.is_silent
        pool.tidy(now() + SILENCE_SECONDS + 1)
        assert pool.is_silent
        pool.heard(now())
        assert not pool.is_silent
        pool.tidy(now() + SILENCE_SECONDS + 1)
        assert not pool.is_silent
        pool.release(connection)


async def test_a_poll_that_is_held_makes_no_node_silent() -> None:
    async with raw_peer(stay_silent) as peer:
        pool = pool_of(peer.peer())
        connection = await pool.acquire(is_held=True)
        connection.sent_at = now()
        pool.tidy(now() + 30)
        assert not pool.is_silent
        pool.release(connection)


@pytest.mark.parametrize(
    ("seconds", "is_silent", "is_cut"),
    [
        (DEPARTED_SECONDS - 1, False, False),
        (DEPARTED_SECONDS + 1, False, True),
        (0, True, True),
    ],
)
async def test_a_node_that_left_gets_time_to_finish_unless_it_is_silent(
    seconds: float, is_silent: bool, is_cut: bool
) -> None:
    async with raw_peer(stay_silent) as peer:
        pool = pool_of(peer.peer())
        connection = await pool.acquire(is_held=not is_silent)
        waiting = connection.send(REQUEST)
        at = now() + (SILENCE_SECONDS + 1 if is_silent else 0)
        connection.sent_at = now()
        pool.departed_at = at
        pool.tidy(at + seconds)
        assert waiting.done() is is_cut
        if is_cut:
            with pytest.raises(AnswerLost):
                await waiting
        else:
            connection.abort(AnswerLost("the test is over"))
            waiting.exception()
        pool.release(connection)
        assert pool.idle == []


async def answer_probes_only(connection: RawConnection) -> None:
    """As a node that holds polls and has nothing for them."""
    if b"OPTIONS" in (await connection.request()):
        await connection.write(ANSWER)
    await connection.is_closed_by_client()


async def test_a_node_that_holds_polls_is_asked_whether_it_is_still_there() -> None:
    async with raw_peer(answer_probes_only) as peer:
        pool = pool_of(peer.peer())
        connection = await pool.acquire(is_held=True)
        waiting = connection.send(REQUEST)
        connection.sent_at = now()
        assert not pool.needs_probe(now() + SILENCE_SECONDS / 2)
        assert pool.needs_probe(now() + SILENCE_SECONDS + 1)
        await pool.probe()
        assert not pool.needs_probe(now() + SILENCE_SECONDS / 2)
        assert pool.breaker.is_closed
        assert not waiting.done()
        connection.abort(AnswerLost("the test is over"))
        waiting.exception()
        pool.release(connection)


async def test_a_node_that_answers_nothing_is_left_alone_until_it_does(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(peer_pool, "PROBE_SECONDS", 0.05)
    is_mute = True

    async def behave(connection: RawConnection) -> None:
        await connection.request()
        if not is_mute:
            await connection.write(ANSWER)
        await connection.is_closed_by_client()

    async with raw_peer(behave) as peer:
        pool = pool_of(peer.peer())
        connection = await pool.acquire(is_held=True)
        waiting = connection.send(REQUEST)
        await pool.probe()
        with pytest.raises(AnswerLost):
            await waiting
        pool.release(connection)
        assert pool.breaker.state(now() + 60) is BreakerState.OPEN
        # It still takes connections.
        pool.release(await pool.acquire(is_held=False))
        assert not pool.breaker.admits(now() + 60)
        assert pool.needs_probe(now())
        is_mute = False
        await pool.probe()
        assert pool.breaker.is_closed
        assert not pool.needs_probe(now())


async def test_an_answer_that_comes_while_a_probe_waits_counts(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(peer_pool, "PROBE_SECONDS", 0.05)
    async with raw_peer(stay_silent) as peer:
        pool = pool_of(peer.peer())
        probing = asyncio.create_task(pool.probe())
        await until(lambda: peer.connections)
        pool.tidy(now() + SILENCE_SECONDS + 1)
        assert pool.is_silent
        pool.heard(now())
        await probing
        assert pool.breaker.is_closed

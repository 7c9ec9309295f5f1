"""The client side of a hop: every way in which an answer can arrive, or not."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from dwserver.http.forwarding.peer_connection import (
    HIGH_WATER_BYTES,
    MAX_HEAD_BYTES,
    AnswerHead,
    AnswerLost,
    BadAnswer,
    PeerConnection,
)
from tests.http.forwarding.raw_peer import (
    HOST,
    Behaviour,
    RawConnection,
    raw_peer,
    until,
)

REQUEST = b"POST /api/x HTTP/1.1\r\nContent-Length: 2\r\n\r\n{}"
LINES = b"Content-Type: application/json\r\nX-Request-Id: r-1\r\n"
OK = b"HTTP/1.1 200 OK\r\n" + LINES


def answer(body: bytes = b'{"ok":true}', *, head: bytes = OK) -> bytes:
    return b"%bContent-Length: %d\r\n\r\n%b" % (head, len(body), body)


@asynccontextmanager
async def connected(behaviour: Behaviour) -> AsyncIterator[PeerConnection]:
    async with raw_peer(behaviour) as peer:
        loop = asyncio.get_running_loop()
        _, connection = await loop.create_connection(PeerConnection, HOST, peer.port)
        try:
            yield connection
        finally:
            connection.close()


def answering(*parts: bytes, then_close: bool = False) -> Behaviour:
    """Writes the parts one by one, each in a packet of its own, for every request."""

    async def behave(connection: RawConnection) -> None:
        while True:
            await connection.request()
            for part in parts:
                await connection.write(part)
                await asyncio.sleep(0)
            if then_close:
                return

    return behave


async def whole(
    connection: PeerConnection, **options: bool
) -> tuple[AnswerHead, bytes]:
    head = await connection.send(REQUEST, **options)
    body = head.body
    while not head.is_whole and len(body) < head.length:
        body += await connection.read()
    return head, body


async def test_an_answer_keeps_its_lines() -> None:
    async with connected(answering(answer())) as connection:
        for _ in range(3):
            assert connection.is_usable
            assert await connection.send(REQUEST) == AnswerHead(
                status=200, lines=LINES, body=b'{"ok":true}', length=11, is_whole=True
            )


async def test_an_answer_may_arrive_byte_by_byte() -> None:
    parts = [bytes([byte]) for byte in answer()]
    async with connected(answering(*parts)) as connection:
        head, body = await whole(connection)
        assert (head.status, head.lines, body) == (200, LINES, b'{"ok":true}')
        head, body = await whole(connection)
        assert body == b'{"ok":true}'


@pytest.mark.parametrize("length", [0, 1, 100_000, 3 * HIGH_WATER_BYTES])
async def test_answers_of_every_size_arrive_whole(length: int) -> None:
    sent = bytes(i % 251 for i in range(length))
    async with connected(answering(answer(sent))) as connection:
        for _ in range(2):
            head, body = await whole(connection)
            assert head.length == length
            assert body == sent
            assert connection.is_usable


async def test_a_reader_that_is_slow_holds_the_peer_back() -> None:
    size = 40 * HIGH_WATER_BYTES
    written = asyncio.Event()

    async def behave(connection: RawConnection) -> None:
        await connection.request()
        await connection.write(answer(b"x" * size))
        written.set()

    async with connected(behave) as connection:
        head = await connection.send(REQUEST)
        received = len(head.body)
        # What is kept here and what the kernel takes are far less than the answer.
        for _ in range(50):
            await asyncio.sleep(0)
        assert not written.is_set()
        assert len(connection._buffer) < 3 * HIGH_WATER_BYTES
        while received < size:
            received += len(await connection.read())
        await asyncio.wait_for(written.wait(), 10)


async def test_statuses_without_a_body_and_heads_end_with_their_lines() -> None:
    async with connected(answering(OK + b"Content-Length: 11\r\n\r\n")) as connection:
        head = await connection.send(REQUEST, expects_body=False)
        assert (head.length, head.body, head.is_whole) == (11, b"", True)
        assert connection.is_usable
        assert (await connection.send(REQUEST, expects_body=False)).is_whole


async def test_a_peer_that_says_it_closes_is_not_asked_again() -> None:
    closing = answer(head=OK + b"Connection: close\r\n")
    async with connected(answering(closing, then_close=True)) as connection:
        head = await connection.send(REQUEST)
        assert head.lines == LINES
        assert not connection.is_usable


async def test_answers_of_the_library_are_understood() -> None:
    """It writes its own when a request is broken: other order, other case."""
    text = (
        b"HTTP/1.1 400 Bad Request\r\ncontent-length: 3\r\n"
        b"Content-Type: text/plain\r\nConnection: close\r\n\r\nbad"
    )
    async with connected(answering(text, then_close=True)) as connection:
        head = await connection.send(REQUEST)
        assert (head.status, head.body) == (400, b"bad")
        assert head.lines == b"Content-Type: text/plain\r\n"
        assert not connection.is_usable


@pytest.mark.parametrize(
    "data",
    [
        b"SSH-2.0-OpenSSH_9.6\r\n\r\n",
        b"HTTP/1.0 200 OK\r\nContent-Length: 0\r\n\r\n",
        b"HTTP/1.1 2xx OK\r\nContent-Length: 0\r\n\r\n",
        b"HTTP/1.1 100 Continue\r\n\r\n",
        OK + b"\r\n",
        OK + b"Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        OK + b"Transfer-Encoding: chunked\r\nX: y\r\nContent-Length: 1 \r\n\r\nx",
        OK + b"content-length: 3\r\nX: y\r\ncontent-length: 4\r\nX: z\r\n\r\nabcd",
        OK + b"Content-Length: -1\r\n\r\n",
        OK + b"Content-Length: +1\r\n\r\nx",
        OK + b"Content-Length: \r\n\r\n",
        OK + b"no colon\r\nContent-Length: x\r\n\r\n",
        b"x" * (MAX_HEAD_BYTES + 1),
    ],
)
async def test_what_is_no_answer_ends_the_connection(data: bytes) -> None:
    async with connected(answering(data)) as connection:
        with pytest.raises(BadAnswer):
            await connection.send(REQUEST)
        assert not connection.is_usable


async def test_bytes_after_an_answer_end_the_connection_not_the_answer() -> None:
    async with connected(answering(answer() + b"HTTP/1.1 200 OK\r\n")) as connection:
        head = await connection.send(REQUEST)
        assert head.body == b'{"ok":true}'
        assert not connection.is_usable


async def test_bytes_after_a_streamed_answer_are_not_part_of_it() -> None:
    parts = answer(b"x" * 100_000), b"surplus"
    async with connected(answering(*parts)) as connection:
        _, body = await whole(connection)
        assert body == b"x" * 100_000


async def test_an_answer_that_nobody_asked_for_ends_the_connection() -> None:
    async def behave(connection: RawConnection) -> None:
        await connection.write(answer())
        assert await connection.is_closed_by_client()
        closed.set()

    closed = asyncio.Event()
    async with connected(behave) as connection:
        await asyncio.wait_for(closed.wait(), 10)
        assert not connection.is_usable


@pytest.mark.parametrize("sent", [b"", b"HTTP/1.1 200", OK])
async def test_a_peer_that_closes_before_its_head_loses_the_answer(
    sent: bytes,
) -> None:
    async with connected(answering(sent, then_close=True)) as connection:
        with pytest.raises(AnswerLost):
            await connection.send(REQUEST)
        assert not connection.is_usable


async def test_a_peer_that_closes_within_its_body_loses_the_rest() -> None:
    part = answer(b"x" * 1000)[:-1]
    async with connected(answering(part, then_close=True)) as connection:
        head = await connection.send(REQUEST)
        received = head.body
        while len(received) < 999:
            received += await connection.read()
        with pytest.raises(AnswerLost):
            await connection.read()


async def test_abort_tells_who_waits_and_the_peer() -> None:
    async def behave(connection: RawConnection) -> None:
        await connection.request()
        assert await connection.is_closed_by_client()
        closed.set()

    closed = asyncio.Event()
    async with connected(behave) as connection:
        waiting = connection.send(REQUEST)
        connection.abort(TimeoutError("enough"))
        with pytest.raises(TimeoutError, match="enough"):
            await waiting
        await asyncio.wait_for(closed.wait(), 10)
        assert not connection.is_usable


async def test_a_connection_that_idles_notices_its_end() -> None:
    async def behave(connection: RawConnection) -> None:
        return None

    async with connected(behave) as connection:
        await until(lambda: not connection.is_usable)

"""A keep-alive HTTP/1.1 connection, one request at a time.

It takes a quarter of the CPU of a general client, so that the generator leaves the
machine to the servers it measures. It knows what they send: answers with
``Content-Length`` and without content encoding.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Mapping, Sequence
from typing import cast
from urllib.parse import urlsplit

REQUEST_SECONDS = 90.0
HEAD_END = b"\r\n\r\n"
LENGTH = b"\r\ncontent-length:"


class HttpError(Exception):
    """No usable answer: connection lost, timed out, or not understood."""


class _Answers(asyncio.Protocol):
    """Collects one answer after the other and resolves ``answer`` with it."""

    def __init__(self) -> None:
        self.answer: asyncio.Future[tuple[int, bytes]] | None = None
        self.transport: asyncio.Transport | None = None
        self.is_lost = False
        self._received = bytearray()
        self._body_at = 0
        self._end_at = 0
        self._status = 0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast(asyncio.Transport, transport)

    def connection_lost(self, exc: Exception | None) -> None:
        self._fail(f"connection lost: {exc!r}")

    def data_received(self, data: bytes) -> None:
        self._received += data
        if not self._body_at and not self._read_head():
            return
        if len(self._received) < self._end_at:
            return
        body = bytes(self._received[self._body_at : self._end_at])
        self._received.clear()
        self._body_at = self._end_at = 0
        if self.answer is not None and not self.answer.done():
            self.answer.set_result((self._status, body))

    def expire(self) -> None:
        self._fail("timed out")
        if self.transport is not None:
            self.transport.close()

    def _read_head(self) -> bool:
        end = self._received.find(HEAD_END)
        if end < 0:
            return False
        head = bytes(self._received[: end + 2]).lower()
        self._status = int(head[9:12])
        self._body_at = end + len(HEAD_END)
        at = head.find(LENGTH)
        if at < 0 and self._status != 204:
            self._fail("answer without a length")
            return False
        stop = head.find(b"\r\n", at + 2)
        length = int(head[at + len(LENGTH) : stop]) if at >= 0 else 0
        self._end_at = self._body_at + length
        if b"\r\nconnection: close" in head:
            self.is_lost = True
        return True

    def _fail(self, reason: str) -> None:
        self.is_lost = True
        if self.answer is not None and not self.answer.done():
            self.answer.set_exception(HttpError(reason))


class Connection:
    """One connection to ``base_url``, opened with the first request and when lost;
    then to the next of the ``others``, as a load balancer would do."""

    def __init__(
        self, base_url: str, headers: Mapping[str, str], others: Sequence[str] = ()
    ) -> None:
        self._places = deque(map(_place_of, (base_url, *others)))
        host, port = self._places[0]
        fields = {
            "Host": f"{host}:{port}",
            "Content-Type": "application/json",
            "Accept": "application/json",
            **headers,
        }
        self._head = "".join(f"{name}: {value}\r\n" for name, value in fields.items())
        self._answers: _Answers | None = None

    async def request(
        self, method: str, path: str, body: bytes | None = None
    ) -> tuple[int, bytes]:
        """(status, body). HttpError or OSError when there is no answer."""
        loop = asyncio.get_running_loop()
        answers = self._answers
        if answers is None or answers.is_lost:
            if answers is not None:
                self._places.rotate(-1)
            answers = await self._connected(loop)
        assert answers.transport is not None
        answers.answer = loop.create_future()
        head = f"{method} {path} HTTP/1.1\r\n{self._head}"
        if body is None:
            answers.transport.write(f"{head}\r\n".encode())
        else:
            head = f"{head}Content-Length: {len(body)}\r\n\r\n"
            answers.transport.write(head.encode() + body)
        timer = loop.call_later(REQUEST_SECONDS, answers.expire)
        try:
            return await answers.answer
        finally:
            timer.cancel()

    async def _connected(self, loop: asyncio.AbstractEventLoop) -> _Answers:
        try:
            _, answers = await loop.create_connection(_Answers, *self._places[0])
        except OSError:
            self._places.rotate(-1)
            raise
        self._answers = answers
        return answers

    def close(self) -> None:
        if self._answers is not None and self._answers.transport is not None:
            self._answers.transport.close()


def _place_of(url: str) -> tuple[str, int]:
    parts = urlsplit(url)
    return parts.hostname or "127.0.0.1", parts.port or 80

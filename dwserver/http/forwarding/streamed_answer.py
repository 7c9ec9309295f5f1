"""An answer that is passed on while it arrives."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from dwserver.http.answer import Answer
from dwserver.http.forwarding.peer_connection import AnswerHead, PeerConnection
from dwserver.http.forwarding.peer_pool import ANSWER_SECONDS
from dwserver.http.request import ClientGone, Request


class StreamedAnswer(Answer):
    """Keeps its connection until the last byte has been written: a client that reads
    slowly slows the peer down. A peer that breaks off ends the client's connection, so
    that the client does not take the part for the whole. ``finish`` is called once,
    whatever happens."""

    def __init__(
        self,
        head: AnswerHead,
        connection: PeerConnection,
        *,
        finish: Callable[[], None],
    ) -> None:
        super().__init__(head.status, head.lines, head.body)
        self._received = head
        self._connection = connection
        self._finish = finish

    async def write(self, request: Request) -> None:
        self._begin(request)
        channel, received = request.channel, self._received
        missing = 0 if received.is_whole else received.length - len(received.body)
        loop = asyncio.get_running_loop()
        try:
            channel.write(self._head(request, received.length) + received.body)
            while missing > 0:
                self._connection.deadline = loop.time() + ANSWER_SECONDS
                chunk = await self._connection.read()
                missing -= len(chunk)
                channel.write(chunk)
                await channel.drained()
        finally:
            if missing > 0:
                self._connection.abort(ClientGone())
            self._finish()

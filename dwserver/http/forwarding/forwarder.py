"""Passes a request on to a node that hosts its role, and the answer back.

Source: ``architecture.md`` §5. The request has been let in here: it is authenticated,
allowed, of a known version. The rest is said by the node that answers.

When a second node may be asked:

- always while nothing was done: the first could not be reached, was too busy, or does
  not take requests from this node, which is no answer to the client's;
- once more for what may be repeated, as long as the answer has not begun: reads (GET,
  HEAD) change nothing; a long poll that is lost may have leased a task, which the end
  of the lease gives back whether the poll is repeated or not. So nothing is lost when
  the client does not notice.
- never otherwise. What became of another request is unknown; the client is told so, and
  repeats it if it wants: every command converges.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from http import HTTPStatus
from typing import Final

from aiohttp import hdrs

from dwserver.engine.records import quick_init
from dwserver.http import errors
from dwserver.http.answer import Answer
from dwserver.http.auth.principal import Principal
from dwserver.http.call import Refusal, Reply
from dwserver.http.departures import Departures
from dwserver.http.exchange import Endpoint, Exchange
from dwserver.http.forwarding.choice import QueuesOfWorkers, key_of
from dwserver.http.forwarding.credential import (
    FORWARDED_HEADER,
    REFUSED,
    CredentialTooLarge,
    Signed,
    sign,
)
from dwserver.http.forwarding.peer_connection import AnswerHead, AnswerLost
from dwserver.http.forwarding.peer_connections import (
    PATIENCE_SECONDS,
    Neighbours,
    PeerConnections,
)
from dwserver.http.forwarding.peer_pool import (
    ANSWER_SECONDS,
    AnswerTimedOut,
    ConnectFailed,
    PeerBusy,
    PeerPool,
    PoolLimits,
    TooManyPolls,
)
from dwserver.http.forwarding.request_head import passed_on
from dwserver.http.forwarding.streamed_answer import StreamedAnswer
from dwserver.http.origin import Origin
from dwserver.http.request import ClientGone
from dwserver.protocol.json_types import JsonValue
from dwserver.topology.gate import RouteFamily

_REPEATABLE: Final = frozenset({hdrs.METH_GET, hdrs.METH_HEAD})
# A poll that was held for longer is answered without a task: another node would hold it
# beyond the time for which its client listens.
_REPEAT_SECONDS: Final = 5.0
# What is not answered when this node ends gets so long.
_LAST_SECONDS: Final = 10.0
_REFUSED_LINE: Final = f"{FORWARDED_HEADER}: {REFUSED}\r\n".encode()


class Outcome(StrEnum):
    """What became of a forwarded request, for the metrics."""

    ANSWERED = "answered"
    UNAVAILABLE = "unavailable"
    BUSY = "busy"
    LOST = "lost"
    CLIENT_GONE = "client_gone"
    RELEASED = "released"


class Released(ConnectionError):
    """The poll is answered without a task: this node ends, or the other one did."""


class PeerRefused(ConnectionError):
    """The node did nothing, for what it thinks of this one or of itself."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Sender:
    """How requests are signed: ``key`` of the cluster, ``now`` in microseconds."""

    key: bytes
    now: Callable[[], int]


@quick_init
@dataclass(frozen=True, slots=True, kw_only=True)
class Passage:
    """A request on its way to another node. ``request``: its bytes; ``key``: what it
    shares with those that should meet it on one node; ``is_elsewhere``: this node
    cannot answer it."""

    exchange: Exchange
    family: RouteFamily
    key: str | None
    request: bytes
    is_poll: bool
    is_elsewhere: bool

    @property
    def is_repeatable(self) -> bool:
        return self.is_poll or self.exchange.request.method in _REPEATABLE


class Forwarder:
    """``observe`` counts the requests by family and outcome."""

    def __init__(
        self,
        sender: Sender,
        neighbours: Neighbours,
        limits: PoolLimits,
        *,
        departures: Departures,
        observe: Callable[[RouteFamily, Outcome], None],
    ) -> None:
        self.connections = PeerConnections(neighbours, limits)
        self._sender = sender
        self.departures = departures
        self._observe = observe
        self._queues = QueuesOfWorkers()
        self._is_released = False

    async def forward(
        self,
        exchange: Exchange,
        endpoint: Endpoint,
        principal: Principal,
        *,
        raw: bytes,
        body: JsonValue,
        namespace: str,
    ) -> Answer | Reply | None:
        """The answer of another node; ``None`` when there is none to ask. Refusal 503
        or 429 when those that there are give no answer; :class:`ClientGone`."""
        family = endpoint.route.family
        if family is None:
            raise ValueError(f"{endpoint.label} is answered by every node")
        passage = Passage(
            exchange=exchange,
            family=family,
            key=key_of(
                family, namespace, exchange.params, body=body, queues=self._queues
            ),
            request=self._request(
                exchange, principal=principal, namespace=namespace, raw=raw
            ),
            is_poll=endpoint.route.idle is not None,
            is_elsewhere=not endpoint.is_here,
        )
        outcome: Outcome
        result: Answer | Reply | Refusal | None
        try:
            outcome, result = await self._try_in_order(passage)
        except Released:
            outcome, result = Outcome.RELEASED, Reply(200, endpoint.route.idle or b"{}")
        except ClientGone:
            self._observe(family, Outcome.CLIENT_GONE)
            raise
        self._observe(family, outcome)
        if isinstance(result, Refusal):
            raise result
        return result

    def release_polls(self) -> None:
        """Answer every long poll now, take no more of them, and let the other requests
        wait no longer than a moment (shutdown)."""
        self._is_released = True
        self.connections.release_polls(Released(), others_end_in=_LAST_SECONDS)

    def _request(
        self, exchange: Exchange, *, principal: Principal, namespace: str, raw: bytes
    ) -> bytes:
        request, sender = exchange.request, self._sender
        signed = Signed(
            method=request.method,
            target=exchange.target,
            namespace=namespace,
            body=raw,
        )
        origin = Origin(
            address=request.remote,
            scheme=request.scheme,
            request_id=exchange.request_id,
        )
        try:
            credential = sign(
                sender.key,
                signed,
                principal=principal,
                origin=origin,
                issued_at=sender.now(),
            )
        except CredentialTooLarge as error:
            raise errors.misconfigured(exchange.plane, str(error)) from None
        return passed_on(
            request.method,
            exchange.target,
            request.raw_headers,
            credential=credential,
            body=raw,
        )

    async def _try_in_order(
        self, passage: Passage
    ) -> tuple[Outcome, Answer | Refusal | None]:
        """Whoever has no other way to an answer waits a little for a node that can be
        asked, as long as nothing was sent."""
        began_at = asyncio.get_running_loop().time()
        until = began_at + PATIENCE_SECONDS
        while (found := await self._try_once(passage, began_at)) is None:
            is_over = self._is_released or not passage.is_elsewhere
            if is_over or not await self.connections.look(until=until):
                return Outcome.UNAVAILABLE, None
        return found

    async def _try_once(
        self, passage: Passage, began_at: float
    ) -> tuple[Outcome, Answer | Refusal] | None:
        """``None`` when no node could be reached."""
        plane, request_id = passage.exchange.plane, passage.exchange.request_id
        failure: tuple[Outcome, Refusal] | None = None
        may_repeat = passage.is_repeatable
        loop = asyncio.get_running_loop()
        for pool in self.connections.in_order(passage.family, passage.key):
            try:
                return Outcome.ANSWERED, await self._ask(pool, passage)
            except (ConnectFailed, PeerRefused):
                continue
            except TooManyPolls:
                failure = Outcome.BUSY, errors.too_many_polls(plane, request_id)
            except PeerBusy:
                failure = Outcome.BUSY, errors.peers_busy(plane, request_id)
            except AnswerLost as error:
                failure = Outcome.LOST, errors.peer_lost(plane, request_id)
                if passage.is_poll and loop.time() - began_at > _REPEAT_SECONDS:
                    raise Released from error
                if isinstance(error, AnswerTimedOut) or not may_repeat:
                    break
                may_repeat = False
        return failure

    async def _ask(self, pool: PeerPool, passage: Passage) -> Answer:
        request, is_poll = passage.exchange.request, passage.is_poll
        if self._is_released and is_poll:
            raise Released
        connection = pool.take(is_held=is_poll)
        if connection is None:
            connection = await pool.acquire(is_held=is_poll)
        if not request.channel.is_open:
            pool.release(connection)
            raise ClientGone
        if self._is_released and is_poll:
            pool.release(connection)
            raise Released
        clock = asyncio.get_running_loop().time
        connection.sent_at = clock()
        connection.deadline = connection.sent_at + ANSWER_SECONDS
        client = request.channel

        def finish() -> None:
            self.departures.forget(client)
            pool.release(connection)

        self.departures.watch(client, lambda: connection.abort(ClientGone()))
        try:
            head = await connection.send(
                passage.request, expects_body=request.method != hdrs.METH_HEAD
            )
        except BaseException as error:
            # Nothing is left to cut unless this request was cancelled.
            connection.abort(ClientGone())
            finish()
            if isinstance(error, AnswerLost):
                pool.failed(error)
            raise
        if _REFUSED_LINE in head.lines:
            refused = PeerRefused(_why_refused(head))
            if not head.is_whole:
                connection.abort(refused)
            finish()
            pool.failed(refused)
            raise refused
        pool.heard(clock())
        if len(head.body) < head.length:
            return StreamedAnswer(head, connection, finish=finish)
        finish()
        return Answer(head.status, head.lines, head.body)


def _why_refused(head: AnswerHead) -> str:
    if head.status == HTTPStatus.UNAUTHORIZED:
        return "it does not trust this node: DW_SERVER_KEY or the clocks differ"
    return "it does not host the role that it is listed with"

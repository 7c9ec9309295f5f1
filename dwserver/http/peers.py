"""What the request pipeline asks of the other nodes (``architecture.md`` §5)."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

from dwserver.http.answer import Answer
from dwserver.http.auth.principal import Principal
from dwserver.http.call import Reply
from dwserver.http.exchange import Endpoint, Exchange
from dwserver.http.forwarding.credential import Forwarded, Signed, verify
from dwserver.protocol.json_types import JsonValue


class Forwarder(Protocol):
    """Passes requests on to the nodes that serve them."""

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
        """The answer of another node, or a reply in its place; ``None`` when there is
        none that serves the request better than this node, and nothing was sent.
        ``raw`` is the body as it was received, ``body`` what it says. Raises
        ``Refusal`` and ``ClientGone``."""
        ...


class TrustedPeers:
    """Who may pass requests on to this node: whoever signs with ``key``; without one
    nobody. ``now``: epoch microseconds."""

    def __init__(self, key: bytes | None, *, now: Callable[[], int]) -> None:
        self._key = key
        self._now = now

    def verify(self, credential: str, request: Signed) -> Forwarded | None:
        """What the header of a forwarded request says, ``None`` if it is no good."""
        if self._key is None:
            return None
        return verify(self._key, credential, request, now=self._now())

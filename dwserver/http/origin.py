"""Where a request came from before another node passed it on."""

from __future__ import annotations

from dataclasses import dataclass

from dwserver.engine.records import quick_init


@quick_init
@dataclass(frozen=True, slots=True, kw_only=True)
class Origin:
    """``address`` is the client's own, ``request_id`` the name that the first node gave
    or left to the request."""

    address: str | None
    scheme: str
    request_id: str

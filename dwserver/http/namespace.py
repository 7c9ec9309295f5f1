"""Which namespace a request means (``spec/control-plane-api.md`` §3.5)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from multidict import istr

from dwserver.http.text import valid_text
from dwserver.protocol.versions import NAMESPACE_HEADER

NAMESPACE_QUERY_WORD: Final = "namespace"

_HEADER: Final = istr(NAMESPACE_HEADER)


def requested_namespace(
    headers: Mapping[str, str], query: Mapping[str, str], *, default: str
) -> str:
    """Header, else query word, else the default; in lower case.

    An empty header names the empty namespace, which never exists; an empty query
    word counts as absent.
    """
    name = headers.get(_HEADER)
    if name is None:
        name = query.get(NAMESPACE_QUERY_WORD, "").strip() or default
    return valid_text(name).lower()

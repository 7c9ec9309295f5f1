"""The page token of the run list: a keyset position, opaque to clients.

It stays valid while runs are added. Its alphabet survives clients that put it into
the query string as it is.
"""

from __future__ import annotations

import binascii
import re
from base64 import urlsafe_b64decode, urlsafe_b64encode
from typing import Final

from dwserver.services.records import RunCursor

_POSITION: Final = re.compile(r"(\d{1,18}):([0-9A-Za-z]{1,64})", re.ASCII)


def cursor_token(cursor: RunCursor) -> str:
    position = f"{cursor.started_at}:{cursor.run_id}"
    return urlsafe_b64encode(position.encode()).decode().rstrip("=")


def read_cursor(token: str | None) -> RunCursor | None:
    """None for no token and for one that is not ours: the first page."""
    if token is None:
        return None
    padded = token + "=" * (-len(token) % 4)
    try:
        text = urlsafe_b64decode(padded).decode("ascii")
    except (binascii.Error, ValueError):
        return None
    found = _POSITION.fullmatch(text)
    return RunCursor(int(found[1]), found[2]) if found else None

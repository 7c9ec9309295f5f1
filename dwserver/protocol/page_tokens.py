"""Page tokens of history: base64 of the decimal last sequence of a page."""

from __future__ import annotations

import binascii
from base64 import b64encode


def page_token(last_sequence: int) -> str:
    return b64encode(b"%d" % last_sequence).decode()


def read_page_token(token: str) -> int | None:
    """The sequence in a token; None when it is not one of ours."""
    try:
        text = binascii.a2b_base64(token.encode(), strict_mode=True)
    except (binascii.Error, ValueError):
        return None
    is_strict = b64encode(text).decode() == token
    return int(text) if is_strict and text.isdigit() and len(text) <= 18 else None

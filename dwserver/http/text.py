"""Text of the request line and the headers, made safe to store and to show."""

from __future__ import annotations


def valid_text(raw: str) -> str:
    """``raw`` with the bytes replaced that were not UTF-8.

    The HTTP parser keeps such bytes as lone surrogates, which neither JSON nor a
    database takes.
    """
    if raw.isascii():
        return raw
    return raw.encode("utf-8", "surrogateescape").decode("utf-8", "replace")

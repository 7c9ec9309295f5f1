"""URLs of databases as they may be shown: without user, password and options."""

from __future__ import annotations

from urllib.parse import parse_qsl

from dwserver.config.connection_urls import sqlite_path

# Where a socket is; anything else of a query may be a secret.
_LOCATIONS = ("host", "port")


def shown_url(url: str) -> str:
    """The URL without what is before its last ``@`` and without its options.

    The last one, wherever it is: a password that was not encoded may hold what usually
    ends the authority.
    """
    if sqlite_path(url) is not None:
        return url
    scheme, separator, rest = url.partition("://")
    location, _, query = rest.rpartition("@")[2].partition("?")
    places = [
        f"{name}={value}" for name, value in parse_qsl(query) if name in _LOCATIONS
    ]
    return f"{scheme}{separator}{location}" + ("?" + "&".join(places) if places else "")

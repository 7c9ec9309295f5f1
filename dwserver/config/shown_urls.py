"""URLs of databases as they may be shown: without user, password and options."""

from __future__ import annotations

from urllib.parse import parse_qsl, unquote

from dwserver.config.connection_urls import sqlite_path

# Where a socket is; anything else of a query may be a secret.
_LOCATIONS = ("host", "port")
_SECRETS = ("password", "sslpassword")


def shown_url(url: str) -> str:
    """The URL without what is before its last ``@`` and without its options.

    The last one, wherever it is: a password that was not encoded may hold what usually
    ends the authority.
    """
    if sqlite_path(url) is not None:
        return url
    scheme, separator, rest = url.partition("://")
    location = rest.rpartition("@")[2].partition("?")[0]
    places = [f"{name}={value}" for name, value in _options(rest) if name in _LOCATIONS]
    return f"{scheme}{separator}{location}" + ("?" + "&".join(places) if places else "")


def without_secrets(text: str, url: str) -> str:
    """A message about the database of this URL, in case it repeats a password."""
    rest = url.partition("://")[2]
    secrets = [rest.rpartition("@")[0].partition(":")[2]]
    secrets += [value for name, value in _options(rest) if name in _SECRETS]
    for secret in secrets:
        for shown in (secret, unquote(secret)):
            text = text.replace(shown, "…") if shown else text
    return text


def _options(rest: str) -> list[tuple[str, str]]:
    return parse_qsl(rest.rpartition("@")[2].partition("?")[2])

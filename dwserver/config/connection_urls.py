"""Database and Redis URLs: normal form, and composition from DB_* and REDIS_*."""

from __future__ import annotations

import re
from collections.abc import Mapping
from urllib.parse import quote, urlencode, urlsplit

from dwserver.config.errors import Problem

_POSTGRES_SCHEMES = ("postgresql", "postgres", "pgsql")
_REDIS_SCHEMES = ("redis", "rediss")
_REDIS_FLAVOURS = ("", "sentinel", "cluster")
_CONNECTIONS = {
    "sqlite": "sqlite",
    "pgsql": "postgresql",
    "postgres": "postgresql",
    "postgresql": "postgresql",
}


class UnusableNamesError(Exception):
    """Infrastructure names that do not make a URL."""

    def __init__(self, *problems: Problem) -> None:
        super().__init__("; ".join(str(problem) for problem in problems))
        self.problems = problems


def normalise_database_url(url: str) -> str | None:
    """Return the URL with scheme `sqlite` or `postgresql`; None if it is neither. The
    second may name several hosts, with commas between them."""
    scheme, separator, rest = url.partition("://")
    scheme = scheme.lower()
    if not separator:
        return None
    if scheme == "sqlite":
        has_path = rest.startswith("/") and len(rest) > 1
        return f"sqlite://{rest}" if has_path else None
    authority, _, database = rest.partition("?")[0].partition("/")
    hosts = authority.rpartition("@")[2].split(",")
    if scheme not in _POSTGRES_SCHEMES or not database.strip("/"):
        return None
    if len(hosts) > 1 and not all(map(_is_host, hosts)):
        return None
    return f"postgresql://{rest}" if all(map(_has_valid_authority, hosts)) else None


def normalise_redis_url(url: str) -> str | None:
    """Return the URL if it names a Redis server, a Sentinel service or a cluster
    (``docs/architecture/coordination.md``), else None."""
    scheme, separator, rest = url.partition("://")
    scheme = scheme.lower()
    transport, _, flavour = scheme.partition("+")
    if not separator or not rest:
        return None
    if scheme != "unix":
        if transport not in _REDIS_SCHEMES or flavour not in _REDIS_FLAVOURS:
            return None
        authority, _, tail = rest.partition("?")[0].partition("/")
        hosts = authority.rpartition("@")[2].split(",")
        if len(hosts) > 1 and not flavour:
            return None
        if not all(_is_host(host) for host in hosts):
            return None
        if flavour == "sentinel" and not tail.strip("/"):
            return None
    return f"{scheme}://{rest}"


def _is_host(text: str) -> bool:
    return _has_valid_authority(text) and bool(urlsplit(f"//{text}").hostname)


def sqlite_path(url: str) -> str | None:
    """Return the file of a `sqlite:///path` URL (`////` is absolute), else None."""
    prefix = "sqlite:///"
    return url[len(prefix) :] if url.startswith(prefix) else None


def compose_database_url(environ: Mapping[str, str]) -> str | None:
    """Return the URL that the DB_* names mean, or None when none is set.

    Raises UnusableNamesError. Seeds 002 and 004 name the database this way.
    """
    names = _read(environ, "DB_")
    if url := names.get("URL"):
        if normal := normalise_database_url(url):
            return normal
        raise UnusableNamesError(
            Problem("DB_URL", "sqlite:///path or postgresql://host/database")
        )
    if not names.keys() & {"CONNECTION", "HOST", "SOCKET", "USERNAME", "DATABASE"}:
        return None
    if _connection(names) == "sqlite":
        return f"sqlite:///{names.get('DATABASE', 'dwserver.sqlite')}"
    return _postgres_url(names)


def compose_redis_url(environ: Mapping[str, str]) -> str | None:
    """Return the URL that the REDIS_* names mean, or None without a host.

    Raises UnusableNamesError.
    """
    names = _read(environ, "REDIS_")
    if url := names.get("URL"):
        if normal := normalise_redis_url(url):
            return normal
        raise UnusableNamesError(
            Problem("REDIS_URL", "redis://, rediss:// or unix:// and an address")
        )
    if "HOST" not in names:
        return None
    port = _port("REDIS_PORT", names.get("PORT", "6379"))
    database = names.get("DB", "0")
    if not database.isdecimal():
        raise UnusableNamesError(Problem("REDIS_DB", "a database number", database))
    scheme, separator, host = names["HOST"].rpartition("://")
    secure = "rediss" if separator and scheme in ("tls", "rediss") else "redis"
    return f"{secure}://{_credentials(names)}{_bracketed(host)}:{port}/{database}"


def _connection(names: Mapping[str, str]) -> str:
    if "CONNECTION" not in names:
        is_postgres = names.keys() & {"HOST", "SOCKET", "USERNAME"}
        return "postgresql" if is_postgres else "sqlite"
    driver = _CONNECTIONS.get(names["CONNECTION"].lower())
    if driver is None:
        raise UnusableNamesError(
            Problem("DB_CONNECTION", "pgsql or sqlite", names["CONNECTION"])
        )
    return driver


def _postgres_url(names: Mapping[str, str]) -> str:
    if "DATABASE" not in names:
        raise UnusableNamesError(
            Problem("DB_DATABASE", "the name of the PostgreSQL database")
        )
    query = {}
    port = _port("DB_PORT", names.get("PORT", "5432"))
    hosts = names.get("HOST", "127.0.0.1").split(",")
    location = ",".join(f"{_bracketed(host)}:{port}" for host in hosts)
    if "SOCKET" in names:
        location = ""
        query = {"host": names["SOCKET"], "port": str(port)}
    if "SSLMODE" in names:
        query["sslmode"] = names["SSLMODE"]
    database = quote(names["DATABASE"], safe="")
    suffix = f"?{urlencode(query)}" if query else ""
    return f"postgresql://{_credentials(names)}{location}/{database}{suffix}"


def _read(environ: Mapping[str, str], prefix: str) -> dict[str, str]:
    """Names under a prefix that are set; env files write an absent one as `null`.

    Kubernetes service links put `tcp://…` into <SERVICE>_PORT: no port of ours.
    """
    found = {}
    for name, text in environ.items():
        value = text.strip()
        if not name.startswith(prefix) or value in ("", "null", "(null)"):
            continue
        if name == f"{prefix}PORT" and value.startswith("tcp://"):
            continue
        found[name.removeprefix(prefix)] = value
    return found


def _port(name: str, text: str) -> int:
    if re.fullmatch(r"[0-9]{1,5}", text) and 0 < int(text) < 65536:
        return int(text)
    raise UnusableNamesError(Problem(name, "a port from 1 to 65535", text))


def _credentials(names: Mapping[str, str]) -> str:
    user = quote(names.get("USERNAME", ""), safe="")
    if "PASSWORD" in names:
        return f"{user}:{quote(names['PASSWORD'], safe='')}@"
    return f"{user}@" if user else ""


def _bracketed(host: str) -> str:
    return f"[{host}]" if ":" in host and not host.startswith("[") else host


def _has_valid_authority(text: str) -> bool:
    try:
        _ = urlsplit(f"//{text}").port
    except ValueError:
        return False
    return True

"""Where Redis is: one server, a Sentinel service, or a Cluster."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from enum import StrEnum
from urllib.parse import parse_qsl, unquote

DEFAULT_PORT = 6379
DEFAULT_SENTINEL_PORT = 26379


class RedisKind(StrEnum):
    SINGLE = "single"
    SENTINEL = "sentinel"
    CLUSTER = "cluster"


class BadRedisAddress(ValueError):
    """The URL names no Redis; the text says what is missing, never the secret."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RedisAddress:
    """``nodes``: the server, the sentinels, or nodes to find the cluster by; empty with
    a socket ``path``. ``service``: the name that the sentinels know the primary by."""

    kind: RedisKind
    nodes: tuple[tuple[str, int], ...]
    path: str | None = None
    service: str | None = None
    database: int = 0
    username: str | None = None
    password: str | None = field(default=None, repr=False)
    is_secure: bool = False


def parse_redis_url(url: str) -> RedisAddress:
    """Raises :class:`BadRedisAddress`. Forms, each with ``rediss`` for TLS::

    redis://[user:password@]host[:port][/database]
    unix://[user:password@]/path[?db=database]
    redis+sentinel://[user:password@]host[:port][,…]/service[/database]
    redis+cluster://[user:password@]host[:port][,…]
    """
    scheme, _, rest = url.partition("://")
    transport, _, flavour = scheme.lower().partition("+")
    rest, _, query = rest.partition("?")
    authority, slash, tail = rest.partition("/")
    credentials, _, hosts = authority.rpartition("@")
    username, _, password = (unquote(part) for part in credentials.partition(":"))
    address = RedisAddress(
        kind=RedisKind.SINGLE,
        nodes=(),
        username=username or None,
        password=password or None,
        is_secure=transport == "rediss",
    )
    if (transport, flavour) == ("unix", ""):
        database = _database(dict(parse_qsl(query)).get("db", "0"))
        return replace(
            address, path=unquote(f"{hosts}{slash}{tail}"), database=database
        )
    if transport not in ("redis", "rediss"):
        raise BadRedisAddress("the scheme must be redis, rediss or unix")
    parts = [unquote(part) for part in tail.split("/") if part]
    match flavour:
        case "":
            return _single(address, hosts, parts)
        case "sentinel":
            return _sentinel(address, hosts, parts)
        case "cluster" if parts in ([], ["0"]):
            nodes = _nodes(hosts, DEFAULT_PORT)
            return replace(address, kind=RedisKind.CLUSTER, nodes=nodes)
        case "cluster":
            raise BadRedisAddress("a cluster has database 0 only")
    raise BadRedisAddress("after the + comes sentinel or cluster")


def _single(address: RedisAddress, hosts: str, parts: list[str]) -> RedisAddress:
    nodes = _nodes(hosts, DEFAULT_PORT)
    if len(nodes) != 1 or len(parts) > 1:
        raise BadRedisAddress("a URL of this kind names one server")
    return replace(address, nodes=nodes, database=_database(parts[0] if parts else "0"))


def _sentinel(address: RedisAddress, hosts: str, parts: list[str]) -> RedisAddress:
    if not 1 <= len(parts) <= 2:
        raise BadRedisAddress("a sentinel URL ends in /service[/database]")
    return replace(
        address,
        kind=RedisKind.SENTINEL,
        nodes=_nodes(hosts, DEFAULT_SENTINEL_PORT),
        service=parts[0],
        database=_database(parts[1] if len(parts) == 2 else "0"),
    )


def _nodes(hosts: str, default_port: int) -> tuple[tuple[str, int], ...]:
    return tuple(_node(each, default_port) for each in hosts.split(","))


def _node(text: str, default_port: int) -> tuple[str, int]:
    host, colon, port = text.rpartition(":")
    if not colon or text.endswith("]"):
        host, port = text, str(default_port)
    host = host.removeprefix("[").removesuffix("]")
    if not host:
        raise BadRedisAddress("a host is missing")
    if not (port.isdecimal() and 0 < int(port) < 65536):
        raise BadRedisAddress("a port must be from 1 to 65535")
    return host, int(port)


def _database(text: str) -> int:
    if not text.isdecimal():
        raise BadRedisAddress("the database must be a number")
    return int(text)

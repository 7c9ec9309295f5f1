"""URLs of Redis."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from dwserver.config.connection_urls import normalise_redis_url
from dwserver.coordination.redis_address import (
    BadRedisAddress,
    RedisAddress,
    RedisKind,
    parse_redis_url,
)

ONE = RedisAddress(kind=RedisKind.SINGLE, nodes=(("cache", 6379),))


@pytest.mark.parametrize(
    ("url", "fields"),
    [
        ("redis://cache", {}),
        ("redis://cache:6380/3", {"nodes": (("cache", 6380),), "database": 3}),
        (
            "rediss://app:p%40ss@cache/0",
            {"username": "app", "password": "p@ss", "is_secure": True},
        ),
        (
            "redis://:secret@[::1]:7000",
            {"password": "secret", "nodes": (("::1", 7000),)},
        ),
        (
            "unix://:secret@/run/redis.sock?db=2",
            {
                "nodes": (),
                "path": "/run/redis.sock",
                "database": 2,
                "password": "secret",
            },
        ),
        (
            "redis+sentinel://:secret@a,b:26380/main/1",
            {
                "kind": RedisKind.SENTINEL,
                "nodes": (("a", 26379), ("b", 26380)),
                "service": "main",
                "database": 1,
                "password": "secret",
            },
        ),
        (
            "rediss+cluster://app:secret@a:7000,[::1]",
            {
                "kind": RedisKind.CLUSTER,
                "nodes": (("a", 7000), ("::1", 6379)),
                "username": "app",
                "password": "secret",
                "is_secure": True,
            },
        ),
    ],
)
def test_what_a_url_means(url: str, fields: dict[str, Any]) -> None:
    assert normalise_redis_url(url) == url
    assert parse_redis_url(url) == replace(ONE, **fields)
    assert "secret" not in repr(parse_redis_url(url))


@pytest.mark.parametrize(
    ("url", "is_refused_by_settings"),
    [
        ("http://cache", True),
        ("redis://", True),
        ("redis://a,b", True),
        ("redis+ring://a", True),
        ("redis+sentinel://a", True),
        ("redis+sentinel://a,/main", True),
        ("redis://cache:99999999", True),
        ("redis://cache/one", False),
        ("redis://cache/0/1", False),
        ("redis+sentinel://a/main/x", False),
        ("redis+cluster://a/3", False),
    ],
)
def test_what_is_no_redis(url: str, is_refused_by_settings: bool) -> None:
    assert (normalise_redis_url(url) is None) is is_refused_by_settings
    with pytest.raises(BadRedisAddress):
        parse_redis_url(url)

"""Addresses are shown without who logs in, messages without passwords."""

from __future__ import annotations

import pytest

from dwserver.config.shown_urls import shown_url, without_secrets


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        (
            "postgresql://dw:secret@db.example:5432/dw",
            "postgresql://db.example:5432/dw",
        ),
        ("postgresql://db.example/dw", "postgresql://db.example/dw"),
        ("postgresql://dw:sec/ret?@db/dw", "postgresql://db/dw"),
        (
            "postgresql://dw:secret@/dw?host=/run/pg&password=secret&sslmode=require",
            "postgresql:///dw?host=/run/pg",
        ),
        ("redis://:secret@cache:6379/1", "redis://cache:6379/1"),
        ("rediss+sentinel://u:secret@a:1,b:2/main", "rediss+sentinel://a:1,b:2/main"),
        ("unix://:secret@/run/redis.sock?db=1", "unix:///run/redis.sock"),
        ("sqlite:////var/d@ta/dw?.sqlite", "sqlite:////var/d@ta/dw?.sqlite"),
    ],
)
def test_an_address(url: str, shown: str) -> None:
    assert shown_url(url) == shown


@pytest.mark.parametrize(
    ("url", "message"),
    [
        ("postgresql://dw:p%40ss@db/dw", "refused p@ss and p%40ss"),
        ("postgresql://dw@db/dw?password=hush", "refused hush"),
        ("redis://:hush@cache", "refused hush"),
    ],
)
def test_a_message(url: str, message: str) -> None:
    told = without_secrets(message, url)
    assert told.startswith("refused …")
    assert not {"p@ss", "p%40ss", "hush"} & set(told.split())


def test_a_message_without_secrets() -> None:
    for url in ("postgresql://db/dw", "sqlite:///dw.sqlite", "redis://dw@cache"):
        assert without_secrets("no answer", url) == "no answer"

"""Values drawn at random for fields that may hold anything."""

from __future__ import annotations

from random import Random
from typing import TypeVar

from dwserver.engine.model import RetryPolicy

TEXTS = (
    "",
    "plain",
    "naïve — Ωmega",
    "emoji 🜚",
    "quote '\" \\ %s $1 {rows}",
    "x" * 300,
)

Item = TypeVar("Item")


def choose(items: list[Item], random: Random) -> Item | None:
    return random.choice(items) if items else None


def document(random: Random) -> dict[str, object]:
    return {
        "text": random.choice(TEXTS),
        "list": [1, None, True, 1.5, {"deep": {}}],
        "number": random.randrange(-(2**53), 2**53),
    }


def maybe(random: Random, value: Item) -> Item | None:
    return value if random.random() < 0.5 else None


def policy(random: Random) -> RetryPolicy:
    return RetryPolicy(
        max_attempts=3,
        backoff_seconds=(1, 2),
        non_retryable_error_types=(random.choice(TEXTS),),
        heartbeat_timeout=random.randrange(100),
    )

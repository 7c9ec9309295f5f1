"""Members of event payloads; what is not of the expected type counts as missing."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from dwserver.engine.model import JsonMap, RetryPolicy
from dwserver.engine.parallel import GROUP_KEYS

_PATH: Final = "parallel_group_path"
# Attempts or seconds: what is added to an instant stays one.
_MOST: Final = 10**9


def text(payload: JsonMap, name: str) -> str | None:
    value = payload.get(name)
    return value if isinstance(value, str) and value else None


def integer(payload: JsonMap, name: str) -> int | None:
    value = payload.get(name)
    return value if isinstance(value, int) and not isinstance(value, bool) else None


def fields(payload: JsonMap, name: str) -> JsonMap | None:
    value = payload.get(name)
    return value if isinstance(value, Mapping) else None


def parallel_of(payload: JsonMap) -> JsonMap | None:
    """The metadata of a parallel group, as the event has it."""
    group: dict[str, object] = _group(payload)
    if "parallel_group_id" not in group:
        return None
    path = payload.get(_PATH)
    if isinstance(path, list):
        group[_PATH] = [_group(each) for each in path if isinstance(each, Mapping)]
    return group


def _group(members: JsonMap) -> dict[str, object]:
    return {
        name: value
        for name, value in members.items()
        if name in GROUP_KEYS and isinstance(value, str | int)
    }


def retry_policy_of(snapshot: JsonMap | None) -> RetryPolicy | None:
    if not snapshot:
        return None
    return RetryPolicy(
        max_attempts=max(_bounded(snapshot, "max_attempts") or 1, 1),
        backoff_seconds=tuple(
            min(max(each, 0), _MOST)
            for each in _list(snapshot, "backoff_seconds")
            if isinstance(each, int)
        ),
        non_retryable_error_types=tuple(
            each
            for each in _list(snapshot, "non_retryable_error_types")
            if isinstance(each, str)
        ),
        start_to_close_timeout=_bounded(snapshot, "start_to_close_timeout"),
        schedule_to_start_timeout=_bounded(snapshot, "schedule_to_start_timeout"),
        schedule_to_close_timeout=_bounded(snapshot, "schedule_to_close_timeout"),
        heartbeat_timeout=_bounded(snapshot, "heartbeat_timeout"),
    )


def _bounded(snapshot: JsonMap, name: str) -> int | None:
    found = integer(snapshot, name)
    return None if found is None else min(max(found, 0), _MOST)


def _list(snapshot: JsonMap, name: str) -> list[object]:
    value = snapshot.get(name)
    return value if isinstance(value, list) else []

"""Small parts of plays: moments, payloads, commands."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from dwserver.engine.commands.activities import ScheduleActivity
from dwserver.engine.commands.timers import StartTimer
from dwserver.engine.commands.waits import OpenConditionWait, OpenSignalWait
from dwserver.engine.model import (
    JsonMap,
    Payload,
    RetryPolicy,
)
from dwserver.engine.wire_time import MICROS

NOON = int(datetime(2026, 4, 13, 12, tzinfo=UTC).timestamp()) * MICROS
"""When every play begins."""


def at(seconds: float) -> str:
    """The wire's word for the moment ``seconds`` (below one hour) after the start."""
    whole, micros = divmod(round(seconds * MICROS), MICROS)
    return f"2026-04-13T12:{whole // 60:02d}:{whole % 60:02d}.{micros:06d}Z"


def avro(text: str) -> Payload:
    return Payload("avro", text)


def plain(text: str) -> Payload:
    return Payload("json", text)


def activity(
    activity_type: str, arguments: str | None = None, **fields: Any
) -> ScheduleActivity:
    """``fields`` of the retry policy make one; the others are the command's own."""
    own = {key: fields.pop(key) for key in ("queue", "parallel") if key in fields}
    return ScheduleActivity(
        activity_type=activity_type,
        arguments=None if arguments is None else avro(arguments),
        retry_policy=RetryPolicy(**fields) if fields else None,
        **own,
    )


def timer(seconds: int, parallel: JsonMap | None = None) -> StartTimer:
    return StartTimer(delay_seconds=seconds, parallel=parallel)


def condition(
    key: str | None = "k", timeout: int | None = None, parallel: JsonMap | None = None
) -> OpenConditionWait:
    """A wait as the Python SDK opens it: the fingerprint belongs to the key."""
    return OpenConditionWait(
        condition_key=key,
        fingerprint=None if key is None else f"sha256:{key}",
        timeout_seconds=timeout,
        parallel=parallel,
    )


def signal_wait(name: str, timeout: int | None = None) -> OpenSignalWait:
    return OpenSignalWait(name=name, timeout_seconds=timeout)


def group(*, base: int, size: int, index: int, prefix: str = "activities") -> JsonMap:
    """The metadata that an SDK sends with one member of a flat parallel group."""
    entry = {
        "parallel_group_id": f"parallel-{prefix}:{base}:{size}",
        "parallel_group_kind": "activity",
        "parallel_group_base_sequence": base,
        "parallel_group_size": size,
        "parallel_group_index": index,
    }
    return {**entry, "parallel_group_path": [entry]}


def signal(name: str) -> JsonMap:
    """A reason to run that has nothing to do with the pending steps."""
    return {"workflow_wait_kind": "signal", "signal_name": name}

"""The last event of a run, and what will happen to it next
(``spec/control-plane-api.md`` §5.5)."""

from __future__ import annotations

from typing import Final

import orjson

from dwserver.engine.events import present
from dwserver.engine.liveness import next_task
from dwserver.engine.model import RunState
from dwserver.engine.wire_time import micro, micro_or_none
from dwserver.protocol.history_events import with_blobs
from dwserver.protocol.json_types import JsonObject
from dwserver.protocol.payloads.framing import Framing
from dwserver.services.records import StoredEvent

MAX_PREVIEW: Final = 4096
MAX_KEYS: Final = 20


def last_event(
    event: StoredEvent | None, framing: Framing, *, has_preview: bool
) -> JsonObject | None:
    """The event with a summary of its payload, and on request the beginning of it."""
    if event is None:
        return None
    payload = with_blobs(event.payload, framing) if event.has_plain else event.payload
    view = {
        "sequence": event.sequence,
        "event_type": event.event_type,
        "timestamp": micro(event.recorded_at),
        "payload_summary": _summary(payload, has_preview=has_preview),
    }
    return {**view, "payload_preview": _preview(payload)} if has_preview else view


def _summary(payload: bytes, *, has_preview: bool) -> JsonObject:
    keys = list(orjson.loads(payload))
    return {
        "included": has_preview,
        "encoding": "json",
        "size_bytes": len(payload),
        "top_level_type": "object" if keys else "list",
        "top_level_key_count": len(keys),
        "top_level_keys": keys[:MAX_KEYS],
        "top_level_keys_truncated": len(keys) > MAX_KEYS,
        "preview_max_bytes": MAX_PREVIEW,
    }


def _preview(payload: bytes) -> JsonObject:
    return {
        "encoding": "json",
        "size_bytes": len(payload),
        "max_bytes": MAX_PREVIEW,
        "truncated": len(payload) > MAX_PREVIEW,
        # A character that is cut in two is left out.
        "data": payload[:MAX_PREVIEW].decode("utf-8", "ignore"),
    }


def next_scheduled_event(state: RunState) -> JsonObject | None:
    """The task that comes next, else the timer that is due first."""
    timers = [timer for timer in state.timers.values() if timer.is_open]
    timer = min(timers, key=lambda timer: (timer.fire_at, timer.step), default=None)
    waits = state.waits
    limits = [t.fire_at for t in timers if t.step in waits and waits[t.step].is_open]
    deadline = micro_or_none(min(limits, default=None))
    task = next_task(state)
    if task is not None:
        return present(
            {
                "source": "run_summary",
                "task_id": task.id,
                "task_type": task.kind,
                "task_status": task.status,
                "available_at": micro(task.available_at),
                "lease_expires_at": micro_or_none(task.lease_expires_at),
                "wait_deadline_at": deadline,
            }
        )
    if timer is None:
        return None
    return present(
        {
            "source": "run_summary",
            "task_id": timer.task_id,
            "task_type": "timer",
            "task_status": "ready",
            "available_at": micro(timer.fire_at),
            "wait_deadline_at": deadline or micro(timer.fire_at),
        }
    )

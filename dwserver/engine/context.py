"""What a decision may know besides the run: time, ids, policy."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from dwserver.engine.model import JsonMap
from dwserver.engine.records import quick_init
from dwserver.engine.wire_time import MICROS


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """Structural limits (``spec/engine.md §12``); 0 switches a limit off."""

    pending_activities: int = 2000
    pending_children: int = 1000
    pending_timers: int = 2000
    pending_signals: int = 5000
    pending_updates: int = 500
    command_batch_size: int = 1000
    history_transaction_size: int = 5000
    history_events: int = 50_000
    payload_bytes: int = 2_097_152
    search_attributes: int = 100
    search_attribute_bytes: int = 40_960
    search_attribute_key_length: int = 128
    search_attribute_value_bytes: int = 2048


@dataclass(frozen=True, slots=True, kw_only=True)
class Policy:
    """Durations in microseconds and switches that decisions follow.

    ``holds_messages``: while a workflow task is leased, what arrives waits for its
    place in history until the task closes (§9.4). ``wakes_at_first_failure``: of a
    parallel group with metadata, rather than when all of it has closed (§10).
    ``pins_definitions``: a run stays with the definition that it began with.
    """

    limits: Limits = Limits()
    workflow_task_lease: int = 60 * MICROS
    activity_task_lease: int = 300 * MICROS
    redispatch_after: int = 3 * MICROS
    failure_backoff_max: int = 60 * MICROS
    recognises_resent_commands: bool = True
    holds_messages: bool = True
    wakes_at_first_failure: bool = False
    pins_definitions: bool = True

    def task_failure_backoff(self, failures: int) -> int:
        """0 s after the first failure in a row, then 3, 6, 12, … up to the cap (§6)."""
        if failures <= 1:
            return 0
        doubled = self.redispatch_after << min(failures - 2, 30)
        return min(doubled, self.failure_backoff_max)


@quick_init
@dataclass(frozen=True, slots=True)
class Context:
    """``now``: epoch microseconds. ``next_id``: a fresh unique id on each call.
    ``encode``: JSON text of a payload object, a pure function."""

    now: int
    next_id: Callable[[], str]
    encode: Callable[[JsonMap], bytes]
    policy: Policy

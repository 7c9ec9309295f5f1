"""``schedule_activity`` (``spec/worker-protocol.md`` §8.4)."""

from __future__ import annotations

from typing import Final

from dwserver.engine.commands.activities import ScheduleActivity
from dwserver.engine.model import RetryPolicy
from dwserver.protocol.commands.fields import CommandFields
from dwserver.protocol.commands.parallel import parse_parallel
from dwserver.protocol.commands.retry_policy import RetryRule, parse_retry_policy

TIMEOUTS: Final = (
    "start_to_close_timeout",
    "schedule_to_start_timeout",
    "schedule_to_close_timeout",
    "heartbeat_timeout",
)

# The first must not exceed the second; the error is the first one's.
ORDERED_TIMEOUTS: Final = (
    ("heartbeat_timeout", "start_to_close_timeout"),
    ("start_to_close_timeout", "schedule_to_close_timeout"),
    ("schedule_to_start_timeout", "schedule_to_close_timeout"),
)


def parse(fields: CommandFields) -> ScheduleActivity:
    activity_type = fields.required_identifier("activity_type")
    # Tasks are routed by queue alone: a connection is checked and has no effect.
    fields.identifier("connection")
    return ScheduleActivity(
        activity_type=activity_type,
        arguments=fields.payload("arguments", "input"),
        queue=fields.identifier("queue", "task_queue"),
        retry_policy=_options(fields),
        parallel=parse_parallel(fields),
    )


def _options(fields: CommandFields) -> RetryPolicy | None:
    """Rule and timeouts together; None when the command gave neither."""
    rule = parse_retry_policy(fields)
    timeouts = _timeouts(fields)
    if rule is None and not timeouts:
        return None
    rule = rule or RetryRule()
    return RetryPolicy(
        max_attempts=rule.max_attempts,
        backoff_seconds=rule.backoff_seconds,
        non_retryable_error_types=rule.non_retryable_error_types,
        **timeouts,
    )


def _timeouts(fields: CommandFields) -> dict[str, int]:
    raw = fields.raw
    timeouts: dict[str, int] = {}
    for name in TIMEOUTS:
        if raw.get(name) is not None:
            seconds = fields.seconds(name, minimum=1)
            if seconds is not None:
                timeouts[name] = seconds
    for shorter, longer in ORDERED_TIMEOUTS:
        if shorter in timeouts and timeouts[shorter] > timeouts.get(
            longer, timeouts[shorter]
        ):
            fields.report(shorter, f"{shorter} must not exceed {longer}.")
    return timeouts

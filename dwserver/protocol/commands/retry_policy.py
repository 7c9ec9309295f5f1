"""The ``retry_policy`` object (``spec/worker-protocol.md`` §7)."""

from __future__ import annotations

from dataclasses import dataclass

from dwserver.protocol.commands.fields import MAX_COUNT, CommandFields
from dwserver.protocol.durations import MAX_DURATION_SECONDS
from dwserver.protocol.json_types import JsonObject, JsonValue
from dwserver.protocol.validation import must_be

FIELD = "retry_policy"


@dataclass(frozen=True, slots=True)
class RetryRule:
    """One attempt unless the worker says otherwise."""

    max_attempts: int = 1
    backoff_seconds: tuple[int, ...] = ()
    non_retryable_error_types: tuple[str, ...] = ()


def parse_retry_policy(fields: CommandFields) -> RetryRule | None:
    """None when the command has none, or an empty one. Unknown keys are ignored."""
    raw = fields.raw.get(FIELD)
    if not raw and raw in (None, {}, []):
        return None
    if not isinstance(raw, dict):
        fields.report(FIELD, must_be(fields.path_of(FIELD), "an array"))
        return None
    return RetryRule(
        max_attempts=_max_attempts(fields, raw),
        backoff_seconds=_backoff(fields, raw),
        non_retryable_error_types=_error_types(fields, raw),
    )


def _max_attempts(fields: CommandFields, policy: JsonObject) -> int:
    value = policy.get("max_attempts")
    if value is None:
        return 1
    name = f"{FIELD}.max_attempts"
    return fields.bounded_integer(name, value, minimum=1, maximum=MAX_COUNT) or 1


def _backoff(fields: CommandFields, policy: JsonObject) -> tuple[int, ...]:
    delays = (
        fields.bounded_integer(name, value, minimum=0, maximum=MAX_DURATION_SECONDS)
        for name, value in _members(fields, policy, "backoff_seconds")
    )
    return tuple(delay for delay in delays if delay is not None)


def _error_types(fields: CommandFields, policy: JsonObject) -> tuple[str, ...]:
    names: dict[str, None] = {}
    for name, value in _members(fields, policy, "non_retryable_error_types"):
        if isinstance(value, str) and value.strip():
            names[value.strip()] = None
        else:
            fields.report(name, must_be(fields.path_of(name), "a non-empty string"))
    return tuple(names)


def _members(
    fields: CommandFields, policy: JsonObject, key: str
) -> list[tuple[str, JsonValue]]:
    value = policy.get(key)
    name = f"{FIELD}.{key}"
    if value is None:
        return []
    if not isinstance(value, list):
        fields.report(name, must_be(fields.path_of(name), "an array"))
        return []
    return [(f"{name}.{index}", member) for index, member in enumerate(value)]

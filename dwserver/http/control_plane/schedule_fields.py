"""The fields of requests about schedules (§2.1), and what of them is kept."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Final

import orjson

from dwserver.engine.hosts import HOST_TYPE
from dwserver.engine.model.schedules import OverlapPolicy
from dwserver.engine.schedules.spec import END_OF_TIME, spec_problems
from dwserver.engine.wire_time import MICROS
from dwserver.http.call import Call
from dwserver.http.control_plane.annotations import (
    MEMO,
    SEARCH_ATTRIBUTES,
    checked_search_attributes,
    defined_attributes,
)
from dwserver.http.errors import invalid_fields, refuse
from dwserver.http.external_payloads import fetched
from dwserver.protocol.commands.fields import recording_errors
from dwserver.protocol.durations import MAX_DURATION_SECONDS
from dwserver.protocol.json_types import JsonObject, JsonValue
from dwserver.protocol.payloads.envelopes import parse_input
from dwserver.protocol.reasons import Plane, Reason
from dwserver.protocol.validation import (
    ARRAY,
    BOOLEAN,
    INTEGER,
    LIST,
    OBJECT,
    Errors,
    Field,
    Item,
    check,
    collect,
    must_be,
    not_allowed,
    required_with,
    too_long,
)
from dwserver.services.catalog import Services

MAX_ID: Final = 128
MAX_NOTE: Final = 1000
MAX_JITTER_SECONDS: Final = 3600
_MAX_WORD: Final = 64
_INTERVALS: Final = "spec.intervals"
_INPUT: Final = "action.input"

POLICY: Final = Field("overlap_policy", choices=frozenset(OverlapPolicy))
NOTE: Final = Field("note", max_length=MAX_NOTE)

# An older name of a time-out and the one that it is kept under.
_TIMEOUTS: Final = {
    "workflow_execution_timeout": "execution_timeout_seconds",
    "workflow_run_timeout": "run_timeout_seconds",
}


def _fields(*, is_new: bool) -> tuple[Field, ...]:
    names = (*_TIMEOUTS.values(), *_TIMEOUTS)
    return (
        Field("spec", OBJECT, required=is_new),
        Field("spec.cron_expressions", LIST, item=Item(max_length=MAX_NOTE)),
        Field(_INTERVALS, LIST, item=Item(kind=OBJECT)),
        Field("spec.timezone", max_length=_MAX_WORD),
        Field("action", OBJECT, required=is_new),
        Field("action.workflow_type", required=is_new, max_length=255),
        Field("action.task_queue", max_length=255),
        Field(_INPUT, ARRAY),
        *(
            Field(f"action.{name}", INTEGER, minimum=1, maximum=MAX_DURATION_SECONDS)
            for name in names
        ),
        POLICY,
        Field("jitter_seconds", INTEGER, minimum=0, maximum=MAX_JITTER_SECONDS),
        Field("max_runs", INTEGER, minimum=1),
        Field(MEMO, OBJECT),
        Field(SEARCH_ATTRIBUTES, OBJECT),
        NOTE,
    )


CREATE_FIELDS: Final = (
    Field("schedule_id", max_length=MAX_ID),
    *_fields(is_new=True),
    Field("paused", BOOLEAN, default=False),
)
UPDATE_FIELDS: Final = _fields(is_new=False)
NOTE_FIELDS: Final = (NOTE,)
TRIGGER_FIELDS: Final = (POLICY,)
BACKFILL_FIELDS: Final = (
    Field("start_time", required=True, max_length=_MAX_WORD),
    Field("end_time", required=True, max_length=_MAX_WORD),
    POLICY,
)


async def checked_definition(
    services: Services, call: Call, fields: Sequence[Field]
) -> JsonObject:
    """Values by field name, ``spec`` and ``action`` as they are kept; raises the
    refusal 422 of the first kind of problem."""
    values, errors = check(call.body, fields)
    intervals = _checked_intervals(values[_INTERVALS], errors)
    if values["action.workflow_type"] == HOST_TYPE:
        errors["action.workflow_type"] = [not_allowed("action.workflow_type")]
    if errors:
        raise invalid_fields(errors)
    if values["spec"] is not None:
        values["spec"] = _kept_spec(values, intervals)
        problems = spec_problems(values["spec"])
        if problems:
            raise invalid_fields(problems)
    if values["action"] is not None:
        values["action"] = await _kept_action(services, call, values)
    values[MEMO] = _checked_memo(services, values[MEMO])
    values[SEARCH_ATTRIBUTES] = checked_search_attributes(
        values[SEARCH_ATTRIBUTES],
        services.limits,
        await defined_attributes(services, call, values),
    )
    return values


def _checked_intervals(raw: JsonValue, errors: Errors) -> list[JsonObject]:
    """Every interval with an ``every``; what is wrong is added to ``errors``."""
    intervals: list[JsonObject] = []
    for index, each in enumerate(raw or ()):
        if not isinstance(each, dict):
            continue
        kept: JsonObject = {}
        for name in ("every", "offset"):
            path, value = f"{_INTERVALS}.{index}.{name}", each.get(name)
            if value is None or value == "":
                if name == "every":
                    errors[path] = [required_with(path, _INTERVALS)]
            elif not isinstance(value, str):
                errors[path] = [must_be(path, "a string")]
            elif len(value) > _MAX_WORD:
                errors[path] = [too_long(path, _MAX_WORD)]
            else:
                kept[name] = value
        intervals.append(kept)
    return intervals


def _kept_spec(values: JsonObject, intervals: list[JsonObject]) -> JsonObject:
    spec: JsonObject = {
        "cron_expressions": values["spec.cron_expressions"],
        "intervals": intervals or None,
        "timezone": values["spec.timezone"],
    }
    return {name: value for name, value in spec.items() if value}


async def _kept_action(
    services: Services, call: Call, values: JsonObject
) -> JsonObject:
    action: JsonObject = {
        name: values[f"action.{name}"] for name in ("workflow_type", "task_queue")
    }
    given = await fetched(
        services, call, values[_INPUT], field=_INPUT, plane=Plane.CONTROL
    )
    parsed = parse_input(given, _INPUT)
    if isinstance(parsed, list):
        raise invalid_fields(collect(parsed))
    action["input"] = given
    for older, name in _TIMEOUTS.items():
        newer = values[f"action.{name}"]
        action[name] = values[f"action.{older}"] if newer is None else newer
    return {name: value for name, value in action.items() if value is not None}


def _checked_memo(services: Services, raw: JsonValue) -> JsonObject:
    if not raw:
        return {}
    problems = recording_errors(raw, MEMO)
    if problems:
        raise invalid_fields({MEMO: problems})
    limit = services.limits.memo_bytes
    if len(orjson.dumps(raw)) > limit:
        raise refuse(
            Reason.MEMO_TOO_LARGE,
            Plane.CONTROL,
            f"The memo is larger than {limit} bytes.",
            limit=limit,
        )
    memo: JsonObject = raw
    return memo


def checked_window(values: JsonObject) -> tuple[int, int]:
    """Start and end of a backfill in epoch microseconds; raises the refusal 422."""
    errors: Errors = {}
    instants: list[int] = []
    for name in ("start_time", "end_time"):
        instant = _instant(values[name])
        if instant is None:
            errors[name] = [must_be(name, "a valid date")]
        else:
            instants.append(instant)
    if errors:
        raise invalid_fields(errors)
    start, end = instants
    if end <= start:
        raise refuse(
            Reason.INVALID_TIME_RANGE,
            Plane.CONTROL,
            "end_time must be after start_time.",
        )
    return start, end


def _instant(text: str) -> int | None:
    """ISO 8601, from 1970 on; in UTC unless it has an offset."""
    try:
        moment = datetime.fromisoformat(text)
        if moment.tzinfo is None:
            moment = moment.replace(tzinfo=UTC)
        instant = round(moment.timestamp() * MICROS)
    except (ValueError, OverflowError):
        return None
    return instant if 0 <= instant < END_OF_TIME else None

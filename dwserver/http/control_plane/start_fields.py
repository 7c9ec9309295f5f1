"""The fields of a start request (``spec/control-plane-api.md`` §5.2)."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Final

from dwserver.engine.hosts import HOST_TYPE
from dwserver.engine.lifecycle.start import DuplicatePolicy
from dwserver.http.control_plane.command_fields import REQUEST_ID
from dwserver.http.errors import invalid_fields
from dwserver.protocol.control_plane import UNSUPPORTED_START_FIELDS
from dwserver.protocol.durations import MAX_DURATION_SECONDS
from dwserver.protocol.json_types import JsonObject, JsonValue
from dwserver.protocol.validation import (
    ARRAY,
    INTEGER,
    Errors,
    Field,
    check,
    not_allowed,
)

_POLICY: Final = "duplicate_policy"

START_FIELDS: Final = (
    Field("workflow_type", required=True, max_length=255),
    Field("workflow_id", max_length=128, pattern=re.compile(r"[a-zA-Z0-9._:-]+")),
    Field("task_queue", max_length=255),
    Field("input", ARRAY),
    Field("business_key", max_length=255),
    Field("memo", ARRAY),
    Field("search_attributes", ARRAY),
    Field(_POLICY, default=DuplicatePolicy.FAIL.value),
    Field(
        "execution_timeout_seconds",
        INTEGER,
        minimum=1,
        maximum=MAX_DURATION_SECONDS,
    ),
    Field("run_timeout_seconds", INTEGER, minimum=1, maximum=MAX_DURATION_SECONDS),
    Field("priority", INTEGER, default=5, minimum=0, maximum=9),
    # Fairness is accepted and has no effect.
    Field("fairness_key", pattern=re.compile(r"[A-Za-z0-9._:-]{1,64}")),
    Field("fairness_weight", INTEGER, minimum=1, maximum=1000),
)

# Fields of an older API and what replaced them; the others have no replacement.
_REPLACEMENTS: Final = {
    "workflow_execution_timeout": "execution_timeout_seconds",
    "workflow_run_timeout": "run_timeout_seconds",
}


# Of a start that comes with a signal, which is what can be sent again.
SIGNAL_WITH_START_FIELDS: Final = (
    *(field for field in START_FIELDS if field.name != _POLICY),
    Field(_POLICY, default=DuplicatePolicy.USE_EXISTING.value),
    Field("signal_input", ARRAY),
    REQUEST_ID,
)


def checked_start(
    body: JsonValue, fields: Sequence[Field] = START_FIELDS
) -> JsonObject:
    """Checked values by field name; every broken rule is refused at once (422)."""
    values, errors = check(body, fields)
    _check_duplicate_policy(values, errors)
    if values["workflow_type"] == HOST_TYPE:
        errors["workflow_type"] = [not_allowed("workflow_type")]
    if isinstance(body, dict):
        for name in UNSUPPORTED_START_FIELDS:
            if name in body and name not in values:
                errors[name] = [_refused_text(name)]
    if errors:
        raise invalid_fields(errors)
    return values


def _check_duplicate_policy(values: JsonObject, errors: Errors) -> None:
    name = _POLICY
    known = [policy.value for policy in DuplicatePolicy]
    if name not in errors and values[name] not in known:
        errors[name] = [f"The {name} field only supports {' or '.join(known)}."]


def _refused_text(name: str) -> str:
    replacement = _REPLACEMENTS.get(name)
    if replacement is not None:
        return f"Use {replacement} instead of {name}."
    return f"A start does not take the {name} field."

"""Why a run failed (``spec/control-plane-api.md`` §5.3.2)."""

from __future__ import annotations

from collections.abc import Sequence

from dwserver.engine.events import present
from dwserver.engine.model import Failure, Run
from dwserver.engine.words import EventType, RunStatus
from dwserver.protocol.json_types import JsonObject

ACTIVITY_SOURCE = "activity_execution"
TERMINAL = "terminal"


def failure_fields(run: Run, failures: Sequence[Failure]) -> JsonObject:
    """``error``, ``failure``, ``exception``, ``failures``; nothing unless the run
    failed and its failures are recorded. ``failures``: newest first."""
    if run.status is not RunStatus.FAILED or not failures:
        return {}
    cause = next((f for f in failures if f.propagation_kind == TERMINAL), failures[0])
    listed = [_listed(failure) for failure in failures]
    activity_failures = [
        _activity_failure(failure)
        for failure in failures
        if failure.source_kind == ACTIVITY_SOURCE
    ]
    failure = present(
        {
            "message": cause.message,
            "exception_type": cause.exception_type,
            "exception_class": cause.exception_class,
            "failure_category": cause.category,
            "non_retryable": cause.non_retryable,
            "source_kind": cause.source_kind,
            "source_id": cause.source_id,
            "event_sequence": cause.event_sequence,
            "exception": _exception(cause),
            "activity_failures": activity_failures or None,
            "failures": listed,
        }
    )
    return {
        "error": cause.message,
        "failure": failure,
        "exception": failure["exception"],
        "failures": listed,
    }


def _exception(failure: Failure) -> JsonObject:
    return present(
        {
            "type": failure.exception_type,
            "class": failure.exception_class,
            "message": failure.message,
        }
    )


def _listed(failure: Failure) -> JsonObject:
    return present(
        {
            "id": failure.id,
            "source_kind": failure.source_kind,
            "source_id": failure.source_id,
            "propagation_kind": failure.propagation_kind,
            "failure_category": failure.category,
            "non_retryable": failure.non_retryable,
            "exception_type": failure.exception_type,
            "exception_class": failure.exception_class,
            "message": failure.message,
            "exception_payload": _exception(failure),
            "event_sequence": failure.event_sequence,
        }
    )


def _activity_failure(failure: Failure) -> JsonObject:
    return present(
        {
            "event_sequence": failure.event_sequence,
            "event_type": EventType.ACTIVITY_FAILED,
            "activity_execution_id": failure.source_id,
            "failure_id": failure.id,
            "failure_category": failure.category,
            "exception_type": failure.exception_type,
            "exception_class": failure.exception_class,
            "message": failure.message,
            "non_retryable": failure.non_retryable,
        }
    )

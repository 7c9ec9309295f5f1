"""Refusals of the services in the words of the worker plane."""

from __future__ import annotations

from collections.abc import Awaitable
from typing import Final, TypeVar

from dwserver.engine.outcome import Rejection
from dwserver.http.call import Refusal
from dwserver.protocol.json_types import JsonObject, JsonValue
from dwserver.protocol.reasons import Plane, Reason, status_of
from dwserver.services.runs import RunNotFound

Answer = TypeVar("Answer")

RUN_GONE: Final = Rejection(Reason.RUN_NOT_FOUND.value, "The run does not exist.")


def status(rejection: Rejection) -> int:
    return status_of(Reason(rejection.reason), Plane.WORKER)


def refusal(rejection: Rejection, **identity: JsonValue) -> Refusal:
    """The error answer: ``identity`` names the task as the worker did."""
    fields: JsonObject = {**identity, **rejection.fields}
    return Refusal(status(rejection), rejection.reason, rejection.message, **fields)


async def or_run_gone(work: Awaitable[Answer]) -> Answer | Rejection:
    """What ``work`` answers; a task whose run was removed meanwhile is rejected."""
    try:
        return await work
    except RunNotFound:
        return RUN_GONE

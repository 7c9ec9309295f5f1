"""What happens when a request that changes something arrives again.

A client that lost an answer, or a proxy, sends the same request once more; every route
converges. The description of the API and ``docs/idempotency.md`` are made from this
table.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from types import MappingProxyType
from typing import Final

from dwserver.protocol.reasons import Reason
from dwserver.services.command_targets import KNOWN_RUNS


class Repeat(StrEnum):
    """What a repeat comes to."""

    SAME_ANSWER = "gets the first answer again"
    SAME_STATE = "sets the same state again"
    REFUSED = "is refused, and changes nothing"
    DONE_BEFORE = "is told that it was done before"
    SKIPPED = "is skipped while the first workflow runs"
    NO_EFFECT = "changes nothing, as the first"


@dataclass(frozen=True, slots=True, kw_only=True)
class Repetition:
    """``key``: what makes two requests the same one. ``status`` and ``reason``: those
    of the repeat of a request that succeeded. ``is_recorded``: the run's history or its
    commands tell of the repeat; what the run does is the same. ``note``: what a client
    should know besides."""

    key: str
    repeat: Repeat
    status: int = 200
    reason: Reason | None = None
    is_recorded: bool = False
    note: str = ""

    @property
    def text(self) -> str:
        """One or two sentences."""
        answer = f"{self.status} `{self.reason}`" if self.reason else str(self.status)
        recorded = " It is recorded." if self.is_recorded else ""
        note = f" {self.note}" if self.note else ""
        return (
            f"Repeated with the same {self.key}, it {self.repeat} "
            f"({answer}).{recorded}{note}"
        )


_R = Reason
_KNOWN: Final = (
    f"Where the workflow continues as new, its newest {KNOWN_RUNS} runs are looked "
    "through for the id."
)
_NO_REQUEST_ID: Final = f"Without a `request_id` each request counts. {_KNOWN}"
_REPEATED_COMMAND: Final = (
    "Without a `request_id` a repeat is decided anew, finds nothing to do, and is "
    f"recorded. {_KNOWN}"
)
_LEASE: Final = "lease"


def _command(*, status: int = 200, note: str = _REPEATED_COMMAND) -> Repetition:
    return Repetition(
        key="`request_id`", repeat=Repeat.SAME_ANSWER, status=status, note=note
    )


def _refused(key: str, status: int, reason: Reason, note: str = "") -> Repetition:
    return Repetition(
        key=key, repeat=Repeat.REFUSED, status=status, reason=reason, note=note
    )


def _same_state(key: str, note: str = "") -> Repetition:
    return Repetition(key=key, repeat=Repeat.SAME_STATE, note=note)


def _renewed() -> Repetition:
    return _same_state(_LEASE, "The lease runs from the last one.")


def _pass() -> Repetition:
    note = "What a pass has ended is not ended again; what is due by then is."
    return Repetition(key="fields", repeat=Repeat.NO_EFFECT, note=note)


def _poll() -> Repetition:
    return Repetition(
        key="`poll_request_id`",
        repeat=Repeat.SAME_ANSWER,
        note="Without one each poll takes a task of its own; a task whose answer was "
        "lost comes again when its lease has run out.",
    )


def _query() -> Repetition:
    return Repetition(
        key="arguments",
        repeat=Repeat.NO_EFFECT,
        note="The state may have moved on between the two.",
    )


def _both(path: str, repetition: Repetition) -> dict[str, Repetition]:
    """Of a workflow id and of a run that is named."""
    return {
        f"POST /api/workflows/{{workflow_id}}{middle}/{path}": repetition
        for middle in ("", "/runs/{run_id}")
    }


REPETITIONS: Final[Mapping[str, Repetition]] = MappingProxyType(
    {
        "POST /api/namespaces": _refused("name", 409, _R.NAMESPACE_ALREADY_EXISTS),
        "PUT /api/namespaces/{namespace}": _same_state("fields"),
        "PUT /api/namespaces/{namespace}/external-storage": _same_state("policy"),
        "POST /api/storage/test": Repetition(
            key="sizes",
            repeat=Repeat.NO_EFFECT,
            note="What it stores for the test is deleted.",
        ),
        "POST /api/search-attributes": _refused(
            "name", 409, _R.ATTRIBUTE_ALREADY_EXISTS
        ),
        "DELETE /api/search-attributes/{name}": _refused(
            "name", 404, _R.ATTRIBUTE_NOT_FOUND
        ),
        "POST /api/workflows": Repetition(
            key="`workflow_id`",
            repeat=Repeat.REFUSED,
            status=409,
            reason=_R.DUPLICATE_NOT_ALLOWED,
            is_recorded=True,
            note="The refusal names the run that there is; with `duplicate_policy: "
            "use-existing` an active run is the answer (200). Without a "
            "`workflow_id` each request starts a workflow.",
        ),
        **_both("cancel", _command()),
        **_both("terminate", _command()),
        **_both("repair", _command()),
        **_both("archive", _command()),
        **_both("signal/{signal_name}", _command(status=202, note=_NO_REQUEST_ID)),
        "POST /api/workflows/{workflow_id}/signal-with-start/{signal_name}": _command(
            status=202, note=_NO_REQUEST_ID
        ),
        **_both("update/{update_name}", _command(status=202, note=_NO_REQUEST_ID)),
        **_both("query/{query_name}", _query()),
        "POST /api/workflows/import/embedded-v2": Repetition(
            key="bundle",
            repeat=Repeat.DONE_BEFORE,
            note="The report has the status `already_imported`. The run id and the "
            "`dedupe_key` of the bundle tell that it is the same.",
        ),
        "DELETE /api/workers/{worker_id}": _refused(
            "worker id", 404, _R.WORKER_NOT_FOUND
        ),
        "POST /api/task-queues/{task_queue}/build-ids/drain": Repetition(
            key="`build_id`",
            repeat=Repeat.SAME_ANSWER,
            note="The drain counts from the first one.",
        ),
        "POST /api/task-queues/{task_queue}/build-ids/resume": Repetition(
            key="`build_id`", repeat=Repeat.SAME_ANSWER
        ),
        "POST /api/bridge-adapters/webhook/{adapter}": Repetition(
            key="adapter and `idempotency_key`",
            repeat=Repeat.DONE_BEFORE,
            reason=_R.DUPLICATE_START,
            is_recorded=True,
            note="Signals and updates likewise.",
        ),
        "POST /api/activities": _refused(
            "`activity_id`",
            422,
            _R.VALIDATION_FAILED,
            note="Without an `activity_id` each request starts an activity.",
        ),
        "POST /api/schedules": _refused(
            "`schedule_id`",
            409,
            _R.SCHEDULE_ALREADY_EXISTS,
            note="Without a `schedule_id` each request makes a schedule.",
        ),
        "PUT /api/schedules/{schedule_id}": _same_state("fields"),
        "DELETE /api/schedules/{schedule_id}": _refused(
            "schedule id", 404, _R.SCHEDULE_NOT_FOUND
        ),
        "POST /api/schedules/{schedule_id}/pause": _same_state("schedule id"),
        "POST /api/schedules/{schedule_id}/resume": _same_state("schedule id"),
        "POST /api/schedules/{schedule_id}/trigger": Repetition(
            key="schedule id",
            repeat=Repeat.SKIPPED,
            is_recorded=True,
            note="Other overlap policies buffer it, or let it start a workflow.",
        ),
        "POST /api/schedules/{schedule_id}/backfill": Repetition(
            key="window",
            repeat=Repeat.SKIPPED,
            is_recorded=True,
            note="Whatever the overlap policy, an occurrence starts one workflow: its "
            "id tells the time.",
        ),
        "POST /api/system/activity-timeouts/pass": _pass(),
        "POST /api/system/repair/pass": Repetition(
            key="fields",
            repeat=Repeat.NO_EFFECT,
            note="What a pass has repaired is not repaired again; tasks that nobody "
            "takes are announced each time.",
        ),
        "POST /api/system/retention/pass": _pass(),
        "POST /api/worker/register": Repetition(
            key="`worker_id`", repeat=Repeat.SAME_STATE, status=201
        ),
        "POST /api/worker/heartbeat": _same_state("`worker_id`"),
        "DELETE /api/worker/registrations/{worker_id}": _refused(
            "worker id", 404, _R.WORKER_NOT_FOUND
        ),
        "POST /api/worker/workflow-tasks/poll": _poll(),
        "POST /api/worker/activity-tasks/poll": _poll(),
        "POST /api/worker/query-tasks/poll": _poll(),
        "POST /api/worker/workflow-tasks/{task_id}/history": Repetition(
            key="page token", repeat=Repeat.SAME_ANSWER
        ),
        "POST /api/worker/workflow-tasks/{task_id}/heartbeat": _renewed(),
        "POST /api/worker/workflow-tasks/{task_id}/complete": _refused(
            _LEASE,
            409,
            _R.RUN_CLOSED,
            note="While the run is open, the reason tells of the task instead.",
        ),
        "POST /api/worker/workflow-tasks/{task_id}/fail": _refused(
            _LEASE, 409, _R.TASK_NOT_LEASED
        ),
        "POST /api/worker/activity-tasks/{task_id}/complete": _refused(
            _LEASE, 409, _R.STALE_ATTEMPT
        ),
        "POST /api/worker/activity-tasks/{task_id}/fail": _refused(
            _LEASE, 409, _R.STALE_ATTEMPT
        ),
        "POST /api/worker/activity-tasks/{task_id}/heartbeat": _renewed(),
        "POST /api/worker/query-tasks/{query_task_id}/complete": _refused(
            _LEASE, 409, _R.QUERY_TASK_NOT_LEASED
        ),
        "POST /api/worker/query-tasks/{query_task_id}/fail": _refused(
            _LEASE, 409, _R.QUERY_TASK_NOT_LEASED
        ),
    }
)
"""By the label of the route."""

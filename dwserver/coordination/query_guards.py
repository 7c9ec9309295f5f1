"""What becomes of a query task (``spec/worker-protocol.md §10``): pure, and the same
in every exchange. Who suits a task is :meth:`QueryPoll.accepts`, which the scripts for
Redis repeat."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from dwserver.coordination.query_tasks import (
    Answer,
    Answered,
    QueryTaskRef,
    Unanswered,
)
from dwserver.engine.outcome import Rejection
from dwserver.engine.wire_time import micro


class QueryTaskStatus(StrEnum):
    """``pending`` and ``leased`` are open; the rest is remembered for a while."""

    PENDING = "pending"
    LEASED = "leased"
    COMPLETED = "completed"
    FAILED = "failed"
    TIMED_OUT = "timed_out"


@dataclass(frozen=True, slots=True)
class Standing:
    """Where a query task stands; owner and expiry while it is leased."""

    namespace: str
    status: QueryTaskStatus
    attempt: int = 0
    owner: str | None = None
    lease_expires_at: int = 0


def status_after(answer: Answer) -> QueryTaskStatus:
    is_answered = isinstance(answer, Answered)
    return QueryTaskStatus.COMPLETED if is_answered else QueryTaskStatus.FAILED


def unanswered(attempts: int) -> Unanswered:
    """What the caller of a task is told that was leased so often when time is up."""
    return Unanswered.TIMED_OUT if attempts > 0 else Unanswered.NOT_CLAIMED


def why_not_settled(
    ref: QueryTaskRef, standing: Standing | None, *, now: int
) -> Rejection | None:
    """None when the worker holds the task; the first check that fails counts."""
    if standing is None or standing.namespace != ref.namespace:
        return Rejection("query_task_not_found", "There is no such query task.")
    if standing.status is QueryTaskStatus.TIMED_OUT:
        return Rejection(
            "query_task_timed_out", "The caller of the query has stopped waiting."
        )
    if standing.status is not QueryTaskStatus.LEASED:
        return Rejection("query_task_not_leased", "Nobody holds the query task now.")
    if standing.owner != ref.owner:
        return Rejection(
            "lease_owner_mismatch",
            "Another worker holds the query task.",
            {"lease_owner": standing.owner},
        )
    if standing.attempt != ref.attempt:
        return Rejection(
            "query_task_attempt_mismatch",
            "The query task has been leased again since.",
            {"current_attempt": standing.attempt},
        )
    if standing.lease_expires_at <= now:
        return Rejection(
            "lease_expired",
            "The lease of the query task has run out.",
            {"lease_expires_at": micro(standing.lease_expires_at)},
        )
    return None

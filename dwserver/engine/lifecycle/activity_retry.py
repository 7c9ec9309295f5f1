"""Another attempt of an activity: when, and how it is scheduled (§7.1, §7.2)."""

from __future__ import annotations

from collections.abc import Iterable

from dwserver.engine import events
from dwserver.engine.activity_tasks import new_activity_task
from dwserver.engine.draft import Draft
from dwserver.engine.leases import after
from dwserver.engine.model import Activity, JsonMap, RetryPolicy, Task
from dwserver.engine.records import replace
from dwserver.engine.retries import retry_delay
from dwserver.engine.words import ActivityStatus, EventType


def delay_of_retry(
    activity: Activity, *, now: int, failed_as: Iterable[str | None] = ()
) -> int | None:
    """Microseconds until the attempt after the ``attempt_count`` made so far; None
    when there is none."""
    return retry_delay(
        activity.retry_policy,
        made=activity.attempt_count,
        failed_as=failed_as,
        now=now,
        deadline=activity.schedule_to_close_deadline_at,
    )


def schedule_retry(
    draft: Draft, activity: Activity, closed_task: Task, *, delay: int, cause: JsonMap
) -> str:
    """Make the activity wait for its next attempt; the id of that one's task.

    ``cause``: the keys of the event that say why the last attempt failed.
    """
    policy = activity.retry_policy or RetryPolicy()
    pending = replace(
        activity,
        status=ActivityStatus.PENDING,
        schedule_deadline_at=after(
            draft.context.now + delay, policy.schedule_to_start_timeout
        ),
        close_deadline_at=None,
        heartbeat_deadline_at=None,
        last_heartbeat_at=None,
    )
    draft.activities.put(pending)
    retry_task = new_activity_task(draft, pending, delay=delay)
    draft.append(
        EventType.ACTIVITY_RETRY_SCHEDULED,
        events.activity_retry_scheduled(
            pending, closed_task, retry_task, failure=cause
        ),
        task_id=closed_task.id,
    )
    return retry_task.id

"""``schedule_activity`` (``spec/worker-protocol.md §8.4``, ``spec/engine.md §7``)."""

from __future__ import annotations

from dataclasses import dataclass

from dwserver.engine import events
from dwserver.engine.activity_tasks import new_activity_task
from dwserver.engine.draft import Draft
from dwserver.engine.leases import after
from dwserver.engine.model import Activity, JsonMap, Payload, RetryPolicy, Task
from dwserver.engine.payloads import digest
from dwserver.engine.records import quick_init
from dwserver.engine.words import ActivityStatus, EventType


@quick_init
@dataclass(frozen=True, slots=True, kw_only=True)
class ScheduleActivity:
    """``retry_policy`` is None when the command named neither policy nor timeout."""

    activity_type: str
    arguments: Payload | None = None
    queue: str | None = None
    retry_policy: RetryPolicy | None = None
    parallel: JsonMap | None = None

    def repeats(self, activity: Activity) -> bool:
        """The command that scheduled ``activity``, sent again."""
        return (
            activity.activity_type == self.activity_type
            and activity.digest == digest(self.activity_type, self.arguments)
        )


def apply(
    draft: Draft, command: ScheduleActivity, *, batch: int, cause: Task | None
) -> str:
    """Schedule it; returns the id of its task. ``cause``: the workflow task that asked
    for it, if one did."""
    run, context = draft.run, draft.context
    now = context.now
    policy = command.retry_policy or RetryPolicy()
    step = draft.next_step()
    activity = Activity(
        id=context.next_id(),
        run_id=run.id,
        step=step,
        batch=batch,
        activity_type=command.activity_type,
        status=ActivityStatus.PENDING,
        queue=command.queue or run.task_queue,
        payload_codec=run.payload_codec,
        digest=digest(command.activity_type, command.arguments),
        created_at=now,
        retry_policy=command.retry_policy,
        parallel=command.parallel,
        schedule_deadline_at=after(now, policy.schedule_to_start_timeout),
        schedule_to_close_deadline_at=after(now, policy.schedule_to_close_timeout),
    )
    draft.schedule(activity, command.arguments)
    draft.append(
        EventType.ACTIVITY_SCHEDULED,
        events.activity_scheduled(activity, command.arguments, cause),
        task_id=cause.id if cause else None,
    )
    return new_activity_task(draft, activity).id

"""Activity tasks: polls, heartbeats, outcomes."""

from __future__ import annotations

from typing import Any

from tests.golden.deviations import Deviation
from tests.golden.families.family import Act, Family, Otherwise
from tests.golden.replaying import Replay

QUEUE = "aq"
FLOW = "a.flow"
SCHEDULE = {"type": "schedule_activity", "activity_type": "a.act", "queue": QUEUE}
COMPLETE = {
    "type": "complete_workflow",
    "result": {"codec": "avro", "blob": "ABZ7Im9rIjp0cnVlfQI="},
}


async def started(
    replay: Replay, workflow_id: str, *activities: dict[str, Any]
) -> None:
    """A workflow that has scheduled activities; what else was to do is completed."""
    await replay.start(workflow_id, FLOW, task_queue=QUEUE)
    body = {"worker_id": "A", "task_queue": QUEUE}
    while True:
        task = (await replay.worker("workflow-tasks/poll", body))["task"]
        if task["workflow_id"] == workflow_id:
            break
        await replay.complete(task, COMPLETE)
    await replay.complete(task, *activities)


async def prepare(replay: Replay) -> None:
    await replay.make_namespace()
    await replay.register("A", QUEUE)
    await replay.register("B", QUEUE, build_id="b-1")
    activity = {
        **SCHEDULE,
        "arguments": {"codec": "avro", "blob": "AApbIngiXQI="},
        "start_to_close_timeout": 30,
        "schedule_to_start_timeout": 60,
        "schedule_to_close_timeout": 120,
        "heartbeat_timeout": 10,
        "retry_policy": {
            "max_attempts": 2,
            "backoff_seconds": [5],
            "non_retryable_error_types": ["E"],
        },
    }
    await started(replay, "ac-36160", activity)


async def the_workflow_completes(replay: Replay) -> None:
    task = await replay.poll("workflow", "A", QUEUE)
    await replay.complete(task, COMPLETE)


async def two_activities(replay: Replay) -> None:
    await started(replay, "am-36160", SCHEDULE, SCHEDULE)
    await replay.poll(
        "activity",
        "A",
        QUEUE,
        task_id="01m7y6mvfeh08mh543ys2zzhsq",
        attempt_id="01M7Y6MVQ0BNR7593XZDEH5587",
    )
    await replay.poll(
        "activity",
        "A",
        QUEUE,
        task_id="01m7y6mvft8xsg881deg9xt9ng",
        attempt_id="01M7Y6MVVVSC9P1VKK2PG8YTCQ",
    )


def an_activity_of(workflow_id: str) -> Act:
    """With two attempts, the first of which is leased."""

    async def act(replay: Replay) -> None:
        policy = {"max_attempts": 2, "backoff_seconds": [60]}
        await started(replay, workflow_id, {**SCHEDULE, "retry_policy": policy})
        await replay.poll("activity", "A", QUEUE)

    return act


NO_RETRY = "golden: failures that must not be retried were"
FAILED_FOR_GOOD = (
    "StartAccepted",
    "WorkflowStarted",
    "ActivityScheduled",
    "ActivityStarted",
    "ActivityFailed",
)
FAILURES = (
    "timeout_kind",
    "malformed",
    "cancelled",
    "non_retryable",
    "retryable_false",
    "application",
)
FAMILY = Family(
    prepare=prepare,
    before={
        "history": the_workflow_completes,
        "complete_task_mismatch": two_activities,
        **{f"fail_{name}": an_activity_of(f"af-{name}-36160") for name in FAILURES},
    },
    deviations=(
        Deviation(
            r"next_task_id",
            "engine §10, R4: the workflow runs again when the whole list is resolved",
            "'<id>' there, None here",
        ),
        Deviation(
            r"event\.payload\.exception_(class|type)",
            "the worker named no type, and no PHP exception is made",
            "missing",
        ),
    ),
    otherwise={
        "heartbeat_details_list": Otherwise(
            "golden: 500", 422, {"reason": "validation_failed"}
        ),
        **{
            f"history_fail_{name}": Otherwise(NO_RETRY, events=FAILED_FOR_GOOD)
            for name in ("cancelled", "non_retryable", "retryable_false")
        },
    },
)

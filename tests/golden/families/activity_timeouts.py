"""The deadlines of activities."""

from __future__ import annotations

from tests.golden.deviations import Deviation
from tests.golden.families.family import Family, Otherwise
from tests.golden.replaying import Replay

QUEUE = "aq"
FLOW = "a.flow"


def an_activity(name: str, queue: str, **timeouts: int) -> dict[str, object]:
    return {
        "type": "schedule_activity",
        "activity_type": name,
        "queue": queue,
        **timeouts,
    }


ACTIVITIES = (
    an_activity("a.act", QUEUE, start_to_close_timeout=1),
    {
        **an_activity("a.act2", QUEUE, heartbeat_timeout=1),
        "retry_policy": {"max_attempts": 2, "backoff_seconds": [0]},
    },
    an_activity("a.act3", "nobody", schedule_to_start_timeout=1),
    an_activity("a.act4", "nobody", schedule_to_close_timeout=1),
)


async def prepare(replay: Replay) -> None:
    await replay.make_namespace()
    await replay.register("A", QUEUE)
    await replay.start("at-36160", FLOW, task_queue=QUEUE)
    task = await replay.poll("workflow", "A", QUEUE)
    await replay.complete(task, *ACTIVITIES)


async def the_deadlines_pass(replay: Replay) -> None:
    replay.node.clock.advance(seconds=2)


FAMILY = Family(
    prepare=prepare,
    before={"status": the_deadlines_pass},
    deviations=(
        Deviation(
            r"results\[\]\.has_retry",
            "true of an activity that is tried again; there any next task counted",
            "True there, False here",
        ),
    ),
    otherwise={
        "history": Otherwise(
            "engine §10 b: an outcome waits for the steps before it",
            events=(
                "StartAccepted",
                "WorkflowStarted",
                *["ActivityScheduled"] * 4,
                *["ActivityStarted"] * 2,
                "ActivityTimedOut",
                "ActivityRetryScheduled",
            ),
        ),
        "poll_workflow_task_after_timeouts": Otherwise(
            "engine §10, R4: the workflow runs again when the whole list is resolved",
            members={"task": None},
        ),
    },
)

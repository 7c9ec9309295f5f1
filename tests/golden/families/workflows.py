"""Workflows as operators start, find, read and end them."""

from __future__ import annotations

from tests.golden.deviations import Deviation
from tests.golden.families.family import Family, Otherwise
from tests.golden.replaying import Replay

FLOW = "g.flow"
QUEUE = "gq"
ACTIVITY = {"type": "schedule_activity", "activity_type": "a.act", "queue": "aq"}


async def both_namespaces(replay: Replay) -> None:
    for name in ("wf-33707", "wo-33707"):
        await replay.make_namespace(name)


async def five_workflows(replay: Replay) -> None:
    """A little apart: lists show the newest first."""
    await both_namespaces(replay)
    for number in range(5):
        await replay.start(
            f"l{number}-33707",
            "g.a" if number % 2 else "g.b",
            task_queue=QUEUE,
            business_key=f"bk{number}",
        )
        replay.node.clock.advance(seconds=0.1)


async def a_worker(replay: Replay) -> None:
    await replay.make_namespace()
    await replay.register("C", "cq")


async def a_history(replay: Replay) -> None:
    """Six side effects and an activity."""
    await replay.make_namespace()
    await replay.register("A", "aq")
    await replay.start("hi-36160", "a.flow", task_queue="aq")
    task = await replay.poll("workflow", "A", "aq")
    effects = [
        {"type": "record_side_effect", "result": blob}
        for blob in (
            "AAIwAg==",
            "AAIxAg==",
            "AAIyAg==",
            "AAIzAg==",
            "AAI0Ag==",
            "AAI1Ag==",
        )
    ]
    await replay.complete(task, *effects, ACTIVITY)


async def the_event_comes_meanwhile(replay: Replay) -> None:
    """The caller waits; the activity begins."""
    replay.begin(replay.exchange)
    replay.held = await replay.poll("activity", "A", "aq")


async def the_run_completes(replay: Replay) -> None:
    body = {
        "lease_owner": "A",
        "activity_attempt_id": replay.held["activity_attempt_id"],
        "result": {"codec": "avro", "blob": "AAYiZCIC"},
    }
    await replay.worker(f"activity-tasks/{replay.held['task_id']}/complete", body)
    end = {
        "type": "complete_workflow",
        "result": {"codec": "avro", "blob": "ABZ7Im9rIjp0cnVlfQI="},
    }
    await replay.complete(await replay.poll("workflow", "A", "aq"), end)


REPAIR = "golden: a failed task was lost; here it comes again by itself"
LIMITED = "golden: the limits were not kept"
STARTS = Family(
    prepare=both_namespaces,
    deviations=(
        Deviation(
            r"(control_plane\.)?task_queue",
            "control-plane §5.2: a start without a queue goes to the default queue",
            "None there, 'default' here",
        ),
    ),
    otherwise={
        "envelope_bad_blob": Otherwise("golden: 500", 422),
        "envelope_y_codec": Otherwise("golden: 500", 422),
        "reserved_in_other_namespace": Otherwise(
            "decision 20f: ids are single-use in their namespace only",
            201,
            {"outcome": "started_new"},
        ),
        "sa_too_many": Otherwise(LIMITED, 422, {"reason": "validation_failed"}),
        "sa_nested_value": Otherwise(
            "control-plane §12.3 [mid]: scalars, and lists of them",
            422,
            {"reason": "validation_failed"},
        ),
    },
)
READS = Family(
    prepare=five_workflows,
    deviations=(
        Deviation(
            r"(control_plane\.)?next_page_token",
            "pages are found by key, not counted",
            r"'\w+=*' there, '.*' here",
        ),
    ),
    otherwise={
        "list_query_expression": Otherwise(
            "control-plane §5.1 [mid]: expressions are understood",
            members={"workflow_count": 2},
        )
    },
)
COMMANDS = Family(
    prepare=a_worker,
    otherwise={
        "repair_after_task_failure": Otherwise(
            REPAIR, members={"outcome": "repair_not_needed"}
        ),
        "history_after_repair": Otherwise(
            REPAIR, events=("StartAccepted", "WorkflowStarted", "RepairRequested")
        ),
        "poll_after_repair_command": Otherwise(
            REPAIR, members={"task": {"workflow_id": "cf-34933"}}
        ),
    },
)
HISTORY = Family(
    prepare=a_history,
    env={"DW_WORKER_POLL_TIMEOUT": "1"},
    before={
        "wait_new_event_returns_on_event": the_event_comes_meanwhile,
        "wait_new_event_closed_run": the_run_completes,
    },
    otherwise={
        "wait_new_event_timeout": Otherwise(
            "the words of a boolean are understood", 200, {"events": []}
        )
    },
)

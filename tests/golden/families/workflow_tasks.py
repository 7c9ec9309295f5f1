"""Workflow tasks: polls, histories by page, completions and failures."""

from __future__ import annotations

from typing import Any

from tests.golden.deviations import Deviation
from tests.golden.families.family import Act, Family, Otherwise, later
from tests.golden.replaying import TASK_PATH, Replay

QUEUE = "wq"
FLOW = "g.flow"
BUILD = "build-1"
RESULT = {"codec": "avro", "blob": "AAwiZG9uZSIC"}


async def prepare(replay: Replay) -> None:
    await replay.make_namespace()
    types = {
        "supported_workflow_types": [FLOW, "g.other"],
        "supported_activity_types": ["g.act"],
    }
    await replay.register(
        "wk1",
        QUEUE,
        build_id=BUILD,
        sdk_version="0.2.0",
        max_concurrent_workflow_tasks=5,
        max_concurrent_activity_tasks=7,
        **types,
    )
    await replay.register("wk2", QUEUE, **types)
    await replay.register("rt-go", "wq-rt")


def started(workflow_id: str, **fields: Any) -> Act:
    async def act(replay: Replay) -> None:
        fields.setdefault("workflow_type", FLOW)
        await replay.start(workflow_id, task_queue=QUEUE, **fields)

    return act


def leased(workflow_id: str) -> Act:
    """A workflow whose first task the next exchange answers."""

    async def act(replay: Replay) -> None:
        await replay.start(workflow_id, FLOW, task_queue=QUEUE)
        await replay.poll("workflow", "wk1", QUEUE)

    return act


def on_a_spare_task(workflow_id: str) -> Act:
    """What is refused there and accepted here must not use up the recorded task: it
    goes to the first task of another workflow."""

    async def act(replay: Replay) -> None:
        found = TASK_PATH.search(replay.exchange.path)
        assert found is not None
        replay.held = {"recorded": found[1], "ours": replay.ids[found[1]]}
        await replay.start(workflow_id, FLOW, task_queue=QUEUE)
        spare = await replay.poll("workflow", "wk1", QUEUE)
        replay.ids[found[1]] = spare["task_id"]

    return act


def on_the_recorded_task(workflow_id: str) -> Act:
    """The spare workflow is not needed any more."""

    async def act(replay: Replay) -> None:
        replay.ids[replay.held["recorded"]] = replay.held["ours"]
        await replay.operator("POST", f"/api/workflows/{workflow_id}/terminate", {})

    return act


async def the_second_is_terminated(replay: Replay) -> None:
    await replay.operator("POST", "/api/workflows/f2-34341/terminate", {})
    await leased("f3-34341")(replay)


async def leased_and_terminated(replay: Replay) -> None:
    await leased("f4-34341")(replay)
    await replay.operator("POST", "/api/workflows/f4-34341/terminate", {})


async def completed_activity(replay: Replay, task: dict[str, Any]) -> None:
    await replay.worker(
        f"activity-tasks/{task['task_id']}/complete",
        {
            "lease_owner": task["lease_owner"],
            "activity_attempt_id": task["activity_attempt_id"],
            "result": RESULT,
        },
    )


async def the_activity_completes(replay: Replay) -> None:
    polled = replay.answers["activity_poll_build_id_worker_never_gets_unmarked_task"]
    await completed_activity(replay, polled.body["task"])


async def a_long_history(replay: Replay) -> None:
    """As that of the third workflow, by the same commands."""
    await replay.start("t4-34341", FLOW, task_queue=QUEUE)
    label = "complete_60_side_effects_and_activity"
    [long] = [found for found in replay.exchanges if found.label == label]
    task = await replay.poll("workflow", "wk1", QUEUE, task_id="of no interest")
    await replay.complete(task, *long.body["commands"])
    await completed_activity(replay, await replay.poll("activity", "wk2", QUEUE))


ACCEPTED = {"outcome": "completed", "recorded": True, "run_status": "waiting"}
REDELIVERED = "golden: a task that failed never came back; here it does"
ANY_WORKER = "golden: unmarked work goes to any worker"
FAMILY = Family(
    prepare=prepare,
    before={
        "poll_type_not_supported_by_worker": started("t0", workflow_type="other"),
        "poll_task": started(
            "t1-34341", input={"codec": "avro", "blob": "AAxbImluIl0C"}
        ),
        "complete_empty_commands": on_a_spare_task("spare-1"),
        "complete_wrong_owner": on_the_recorded_task("spare-1"),
        "complete_terminal_not_last": leased("f1-34341"),
        "complete_bad_schedule_activity_no_type": leased("f2-34341"),
        "complete_bad_start_timer_no_delay": the_second_is_terminated,
        "complete_bad_record_side_effect_envelope": on_a_spare_task("spare-2"),
        "complete_bad_record_version_marker_empty": on_the_recorded_task("spare-2"),
        "complete_after_terminate": leased_and_terminated,
        "complete_60_side_effects_and_activity": leased("t3-34341"),
        "poll_history_page_size_10": the_activity_completes,
        "poll_gzip_history": a_long_history,
        "poll_for_fail": started("t2-34341"),
        "poll_after_task_failure": later(3),
    },
    deviations=(
        Deviation(
            r"event\.payload\.task\.lease_owner", ANY_WORKER, "'wk2' there, 'wk1' here"
        ),
        Deviation(
            r"(control_plane\.)?wait_(kind|reason)", REDELIVERED, "None there, .*"
        ),
        Deviation(
            r"workflow_task_attempt",
            "told in every answer to the holder of a task",
            "extra",
        ),
    ),
    otherwise={
        "complete_empty_commands": Otherwise(
            "worker-protocol §6.8: nothing new is an answer", 200, ACCEPTED
        ),
        "complete_bad_record_side_effect_envelope": Otherwise(
            "client-compatibility §8: workers of 0.2.0 send an envelope", 200, ACCEPTED
        ),
        "complete_terminal_not_last": Otherwise(
            "golden: later commands were applied as well",
            409,
            {"recorded": False, "reason": "invalid_commands"},
        ),
        "activity_poll_build_id_worker_never_gets_unmarked_task": Otherwise(
            ANY_WORKER, members={"task": {"workflow_id": "t3-34341"}}
        ),
        "poll_same_request_id_gzip_history": Otherwise(
            "worker-protocol §5.1: the task is the same, its history as asked for now",
            members={"task": {"workflow_id": "t3-34341", "total_history_events": 65}},
        ),
        "debug_after_task_failure": Otherwise(
            REDELIVERED,
            members={
                "workflow_id": "t2-34341",
                "execution": {"liveness_state": "workflow_task_leased"},
            },
        ),
        "poll_after_task_failure": Otherwise(
            REDELIVERED,
            members={"task": {"workflow_id": "t2-34341", "workflow_task_attempt": 1}},
        ),
    },
)

"""What operators measure and set going by hand."""

from __future__ import annotations

from tests.golden.deviations import Deviation
from tests.golden.families.family import Family, Otherwise
from tests.golden.replaying import Replay

QUEUE = "tq-36160"
ACTIVITY_QUEUE = "aq"
FLOW = "s.flow"
ELSEWHERE = "lf-36160"
DONE = {"type": "complete_workflow", "result": None}
WORKERS = {"A": ACTIVITY_QUEUE, "T1": QUEUE, "T1b": QUEUE, "T2": QUEUE, "T3": QUEUE}
BUILDS = {"T1": "b1", "T1b": "b1", "T2": "b2"}


def an_activity(queue: str) -> dict[str, object]:
    return {"type": "schedule_activity", "activity_type": "s.act", "queue": queue}


async def prepare(replay: Replay) -> None:
    """Twelve runs in all states, and one elsewhere that nobody takes."""
    own = replay.namespace
    replay.namespace = ELSEWHERE
    await replay.make_namespace()
    await replay.start("lq-1", FLOW, task_queue="lq")
    replay.namespace = own
    await replay.make_namespace()
    await all_register(replay)
    for number in range(8):
        await replay.start(f"terminated-{number}", FLOW, task_queue=QUEUE)
        path = f"/api/workflows/terminated-{number}/terminate"
        await replay.operator("POST", path, {})
    for number in range(2):
        await replay.start(f"completed-{number}", FLOW, task_queue=QUEUE)
        task = await replay.poll("workflow", "T3", QUEUE)
        if number:
            await replay.complete(task, an_activity(ACTIVITY_QUEUE))
            await an_attempt_fails(replay)
            task = await replay.poll("workflow", "T3", QUEUE)
        await replay.complete(task, DONE)
    replay.node.clock.advance(seconds=109.704 - 1.722)
    await replay.start("pending", FLOW, task_queue=QUEUE)
    await replay.poll("workflow", "T3", QUEUE)
    replay.node.clock.advance(seconds=1.722 - 1.409)
    await replay.start("waiting", FLOW, task_queue=QUEUE)
    task = await replay.poll("workflow", "T3", QUEUE)
    replay.node.clock.advance(seconds=1.409 - 1.403)
    await replay.complete(task, an_activity(ACTIVITY_QUEUE))
    replay.node.clock.advance(seconds=1.403)
    # They live still.
    await all_register(replay)


async def all_register(replay: Replay) -> None:
    for worker_id, queue in WORKERS.items():
        build = {"build_id": BUILDS[worker_id]} if worker_id in BUILDS else {}
        await replay.register(worker_id, queue, **build)


async def an_attempt_fails(replay: Replay) -> None:
    task = await replay.poll("activity", "A", ACTIVITY_QUEUE)
    await replay.worker(
        f"activity-tasks/{task['task_id']}/fail",
        {
            "lease_owner": task["lease_owner"],
            "activity_attempt_id": task["activity_attempt_id"],
            "failure": {"message": "out of stock"},
        },
    )


METRICS = r"operator_metrics\."
FAMILY = Family(
    prepare=prepare,
    env={"DW_TASK_DISPATCH_MODE": "queue"},
    deviations=(
        Deviation(
            r"metrics\.dw_projection_drift_total\..*",
            "nothing is projected ahead, so that nothing drifts",
            r"\d+ there, 0 here",
        ),
        Deviation(
            METRICS + r"projections\..*",
            "nothing is projected ahead: no rows that could be told of",
            r"(\d+|'<instant>') there, (\d+|None) here",
        ),
        Deviation(
            METRICS + r"backend\.(cache|queue|database|structural_limits|severity"
            r"|issues).*",
            "one process with a file; tasks wait in the database",
        ),
        Deviation(
            METRICS + r"backend\.readiness_contract\.\w+",
            "topology §4.3.12: clients read the version alone",
            "missing",
        ),
        Deviation(
            METRICS + r"(history\.(max_)?(event|fan|size|approach)\w+"
            r"|matching_role\.\w+|tasks\.max_(attempt|repair)_count"
            r"|backlog\.tasks_\w+_last_minute)",
            "topology §4.3: what later servers publish",
            "extra",
        ),
        Deviation(
            METRICS + r"bounds",
            "how many rows the figures look at is told",
            "extra",
        ),
        Deviation(
            METRICS + r"history\.(events|max_\w+)",
            "engine §3: fewer events, and smaller ones; the runs did less as well",
            r"\d+ there, \d+ here",
        ),
        Deviation(
            METRICS + r"runs\.max_wait_age_ms",
            "a run that no worker has seen waits as well",
            "1409 there, 1722 here",
        ),
        Deviation(
            METRICS + r"command_contracts\.\w+",
            "contracts come with the registrations: nothing is to be filled in",
            "12 there, 0 here",
        ),
        Deviation(
            METRICS + r"workers\.fleet\[\]\.(host|process_id)",
            "those of the worker, if it tells; there those of the server",
            "'.*' there, None here",
        ),
        Deviation(
            METRICS + r"workers\.(active_\w+|fleet)",
            "decision 20f: no ids of another namespace; there all were counted",
            r"(length )?5 there, 0 here",
        ),
    ),
    otherwise={
        "health_absent_in_this_version": Otherwise(
            "seeds: the health of the engine is served",
            200,
            {"namespace": "ms-36160", "health": {"status": "ok", "healthy": True}},
        ),
        "repair_pass_no_body": Otherwise(
            "decision 14: every pass announces what nobody has taken",
            200,
            {"repaired_existing_tasks": 1, "dispatched_tasks": 1},
        ),
    },
)

"""Task queues, builds that are drained, and caps."""

from __future__ import annotations

from tests.golden.deviations import REGISTERED, Deviation
from tests.golden.families.administration import SHOWN_WORKERS
from tests.golden.families.family import Family, Otherwise, later
from tests.golden.replaying import Replay
from tests.support.waiting import eventually

QUEUE, OTHER, NOBODY = "tq-36160", "aq", "nobody"
FLOW = "s.flow"
CAPPED = "leq"
CAPPED_FLOW = "e.flow"


async def other_queues(replay: Replay) -> None:
    """Two workers on one queue, and a run that has ended on a queue without any."""
    await replay.make_namespace()
    for worker_id in ("A", "B"):
        await replay.register(worker_id, OTHER)
    await replay.start("nobody-1", FLOW, task_queue=NOBODY)
    await replay.operator("POST", "/api/workflows/nobody-1/terminate", {})


async def three_workers_and_two_runs(replay: Replay) -> None:
    await replay.register(
        "T1",
        QUEUE,
        build_id="b1",
        sdk_version="0.2.0",
        supported_workflow_types=["a.flow"],
        max_concurrent_workflow_tasks=3,
        max_concurrent_activity_tasks=4,
    )
    await replay.register("T2", QUEUE, build_id="b2")
    await replay.register("T3", QUEUE)
    for number in range(2):
        await replay.start(f"tq{number}-36160", FLOW, task_queue=QUEUE)


async def the_first_is_leased(replay: Replay) -> None:
    replay.held = await replay.poll("workflow", "T3", QUEUE)


async def it_schedules_an_activity(replay: Replay) -> None:
    activity = {"type": "schedule_activity", "activity_type": "s.act", "queue": QUEUE}
    await replay.complete(replay.held, activity)


async def the_second_is_leased(replay: Replay) -> None:
    await replay.poll("workflow", "T3", QUEUE)


TASK_QUEUES = Family(
    prepare=other_queues,
    before={
        "show_backlog": three_workers_and_two_runs,
        "show_with_lease": the_first_is_leased,
        "show_with_activity": it_schedules_an_activity,
        "list": the_second_is_leased,
    },
    deviations=(
        *REGISTERED,
        Deviation(
            r"retention", "worker-protocol §4.2: no retention on this path", "missing"
        ),
        *SHOWN_WORKERS,
    ),
    otherwise={
        "workflow_poll_drained_worker": Otherwise(
            "decision 16: a worker that drains is given nothing new",
            200,
            {"task": None, "poll_status": "empty"},
        ),
    },
)


async def a_capped_queue(replay: Replay) -> None:
    await replay.make_namespace()
    await replay.register(
        "A",
        CAPPED,
        max_concurrent_workflow_tasks=1,
        max_concurrent_activity_tasks=1,
    )
    for number in range(3):
        await replay.start(f"ad{number}-36527", CAPPED_FLOW, task_queue=CAPPED)


async def two_queries_wait(replay: Replay) -> None:
    replay.node.clock.advance(seconds=1)
    await replay.start("adq-36527", CAPPED_FLOW, task_queue=CAPPED)
    for exchange in replay.exchanges:
        if exchange.label in ("query_0", "query_1"):
            replay.begin(exchange)
    queries = replay.node.core.coordination.query_exchange

    async def are_both_there() -> bool:
        return await queries.pending(replay.namespace, [CAPPED]) == [2]

    await eventually(are_both_there)


ADMISSION = Family(
    prepare=a_capped_queue,
    env={
        "DW_WORKFLOW_TASK_MAX_ACTIVE_LEASES_PER_QUEUE": "1",
        "DW_ACTIVITY_TASK_MAX_DISPATCHES_PER_MINUTE": "1",
        "DW_QUERY_TASK_MAX_PENDING_PER_QUEUE": "2",
        "DW_QUERY_TASK_TIMEOUT": "1",
    },
    before={
        "queue_activity_rate_used": later(3),
        "list": later(1),
        "query_2": two_queries_wait,
    },
    deviations=(
        Deviation(
            r"(task_queues\[\]\.)?repair\.(oldest|max)_dispatch_overdue_\w+",
            "topology §5.5: since when, and for how long",
            "extra",
        ),
    ),
)

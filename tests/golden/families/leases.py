"""Leases that expire, and runs that outlive their deadline."""

from __future__ import annotations

from tests.golden.deviations import Deviation
from tests.golden.families.family import Family, Otherwise, later
from tests.golden.replaying import EventRules, Replay

QUEUE = "leq"
FLOW = "e.flow"
WORKFLOW_LEASE_SECONDS = 300
ACTIVITY_LEASE_SECONDS = 300


async def prepare(replay: Replay) -> None:
    await replay.make_namespace()
    await replay.register("A", QUEUE)
    await replay.register("B", QUEUE)
    await replay.start("le1-36930", FLOW, task_queue=QUEUE)


async def the_lease_expires(replay: Replay) -> None:
    replay.node.clock.advance(seconds=WORKFLOW_LEASE_SECONDS)


TIMED_OUT = "golden: a run past its deadline went on; here it times out (engine §11)"
ENDED = {
    "status": "failed",
    "status_bucket": "failed",
    "is_terminal": True,
    "closed_reason": "timed_out",
}


async def a_run_of_one_second(replay: Replay) -> None:
    await replay.start("le3-36930", FLOW, task_queue=QUEUE, run_timeout_seconds=1)


async def a_run_and_execution_of_one_second(replay: Replay) -> None:
    await replay.start(
        "le2-36930",
        FLOW,
        task_queue=QUEUE,
        run_timeout_seconds=1,
        execution_timeout_seconds=1,
    )


async def two_seconds(replay: Replay) -> None:
    replay.node.clock.advance(seconds=2)


FAMILY = Family(
    prepare=prepare,
    before={
        "heartbeat_expired_lease": the_lease_expires,
        "complete_expired_lease": later(0),
        "activity_poll_B_after_expiry": later(ACTIVITY_LEASE_SECONDS),
        "poll_before_run_deadline": a_run_of_one_second,
        "complete_leased_after_run_deadline": two_seconds,
        "describe_with_deadlines": a_run_and_execution_of_one_second,
        "poll_after_run_deadline": two_seconds,
    },
    left_out={
        "task_queue_with_expired_lease": "the route of task queues is not served yet"
    },
    otherwise={
        "complete_leased_after_run_deadline": Otherwise(
            TIMED_OUT,
            409,
            {"recorded": False, "reason": "run_timed_out", "run_status": "failed"},
        ),
        "describe_waiting_after_run_deadline": Otherwise(TIMED_OUT, None, ENDED),
        "describe_waiting_after_run_deadline_9s_later": Otherwise(
            TIMED_OUT, None, ENDED
        ),
        "history_waiting_after_run_deadline": Otherwise(TIMED_OUT),
        "poll_after_run_deadline": Otherwise(TIMED_OUT, None, {"task": None}),
        "describe_after_run_deadline": Otherwise(TIMED_OUT, None, ENDED),
        "history_after_run_deadline": Otherwise(TIMED_OUT),
        "complete_after_run_deadline": Otherwise(
            "the task was never given out", 404, {"reason": "task_not_found"}
        ),
    },
    deviations=(
        Deviation(
            r"task\.(total_history_events|last_history_sequence)",
            "golden: a lease that expired was an event of the repair",
            "3 there, 2 here",
        ),
    ),
    events=EventRules(dropped=frozenset({"RepairRequested"})),
)

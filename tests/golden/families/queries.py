"""Queries, on both planes."""

from __future__ import annotations

from tests.golden.deviations import Deviation
from tests.golden.families.family import Family, Otherwise
from tests.golden.families.interactive import prepare, terminated
from tests.golden.replaying import Replay


async def a_queue_without_workers(replay: Replay) -> None:
    await replay.start("qn-35538", "c.flow", task_queue="nobody")


FAILURES = (
    "None",
    "unknown_query",
    "query_rejected",
    "rejected_unknown_query",
    "invalid_query_arguments",
    "worker_error",
)
FAMILY = Family(
    prepare=prepare,
    env={"DW_QUERY_TASK_TIMEOUT": "1", "DW_QUERY_TASK_POLL_TIMEOUT": "1"},
    before={
        "query_closed_known_class": terminated("qy-35538"),
        "query_external_no_worker_on_queue": a_queue_without_workers,
        "query_external_closed": terminated("qe-35538"),
    },
    early={
        "query_external": "poll_query_task",
        "query_external_envelope_input_plain_result": "poll_query_task_2",
        **{
            f"query_external_failed_{name}": f"poll_query_task_fail_{name}"
            for name in FAILURES
        },
        "query_fail_missing_context": "poll_query_task_fail_missing",
    },
    deviations=(
        Deviation(
            r"task\.query_arguments\.codec",
            "decision 20c: a codec beside every blob",
            "None there, 'avro' here",
        ),
    ),
    otherwise={
        **{
            name: Otherwise(
                "there the server answers for its own classes; here a worker must",
                409,
                {"reason": "query_worker_unavailable", "result": None},
            )
            for name in (
                "query_known_class_before_first_task",
                "query_unknown_name_known_class",
                "query_missing_argument",
                "query_ok_argument",
                "query_closed_known_class",
            )
        },
        "query_external_no_worker_on_queue": Otherwise(
            "control-plane §5.7 [mid]: says that no worker can answer",
            409,
            {"reason": "query_worker_unavailable", "result": None},
        ),
    },
)

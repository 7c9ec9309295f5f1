"""Schedules: every route, every overlap policy, the end of a schedule."""

from __future__ import annotations

from dwserver.engine.transition import TermGuard
from tests.golden.deviations import Deviation
from tests.golden.families.family import Act, Family, Otherwise
from tests.golden.replaying import Replay

ACTION = {"workflow_type": "s.flow", "task_queue": "sq", "input": ["x"]}
LEADERSHIP = "scheduler"
HOUR = 3_600_000_000
INVALID = "decision 11: a spec that can never fire is refused"
BOTH_FAMILIES = "decision 20c: both families of names, in lists and in descriptions"
NAMED = "decision 24: the id of a started workflow follows from its occurrence"


async def prepare(replay: Replay) -> None:
    await replay.make_namespace()


async def a_second_later(replay: Replay) -> None:
    """The scheduler looks, a second after what came before."""
    node = replay.node
    store = node.core.store
    lease = await store.find_leader(LEADERSHIP)
    if lease is None:
        lease = await store.acquire_leadership(LEADERSHIP, "n", duration=HOUR)
    assert lease is not None
    node.clock.advance(seconds=1)
    term = TermGuard(LEADERSHIP, lease.term)
    await node.core.services.schedules.fire_due(term, limit=100)


async def the_new_one_is_gone(replay: Replay) -> None:
    """The recorded server could not make it."""
    await replay.operator("DELETE", "/api/schedules/cron-1")


def made(count: int) -> Act:
    """Schedules that the recorded server made of what is refused here."""

    async def make(replay: Replay) -> None:
        for _ in range(count):
            body = {"spec": {"intervals": [{"every": "PT1H"}]}, "action": ACTION}
            await replay.operator("POST", "/api/schedules", body)

    return make


FAMILY = Family(
    prepare=prepare,
    before={
        "create_interval_missing_every": made(3),
        "create_no_workflow_type": made(1),
        "show_after_first_evaluate": a_second_later,
        "show_after_second_evaluate_max_runs": a_second_later,
        "list_after_delete": the_new_one_is_gone,
    },
    deviations=(
        Deviation(
            r"event\.payload\.command_context\.context\.request\.route_name",
            "routes have no names of a framework",
            "missing",
        ),
        Deviation(
            r"event\.payload\.command_context\.context\.server\.metadata",
            "decision 3: an empty map is {}",
            r"\[\] there, \{\} here",
        ),
        Deviation(
            r"(schedules\[\]\.)?(note|status|paused|workflow_type|next_fire(_at)?"
            r"|last_fire(d?_at)?|(fires|failures)_count|paused_at|created_at|updated_at"
            r"|spec|action|state|info|memo|search_attributes"
            r"|latest_workflow_instance_id)",
            BOTH_FAMILIES,
            "extra",
        ),
        Deviation(
            r"schedules\[\]\.next_fire",
            INVALID,
            "None there, '<instant>' here",
        ),
        Deviation(
            r"(info\.recent_actions\[\]|event\.payload)"
            r"\.(occurrence_time|fire_lag_ms)",
            "scheduling §1.1, §3.6 [later]: the occurrence of a fire, and its lag",
            "extra",
        ),
        Deviation(
            r"(.*\.)?(workflow_id|workflow_instance_id|latest_workflow_instance_id)",
            NAMED,
            r"'<id>' there, 'schedule:.*",
        ),
    ),
    left_out={
        "create_memo_too_large": "the recording has only the beginning of its body",
    },
    otherwise={
        "list_paged_params": Otherwise(
            "scheduling §2.3 [later]: the list is paged when that is asked for"
        ),
        **{
            label: Otherwise(INVALID, 422, {"reason": "validation_failed"})
            for label in (
                "create_empty_lists",
                "create_bad_cron",
                "create_cron_6_fields",
                "create_bad_interval",
                "create_interval_go_style",
                "create_interval_zero",
                "create_bad_timezone",
            )
        },
        "resume_again": Otherwise(
            "decision 11: resume is idempotent", 200, {"outcome": "resumed"}
        ),
        "create_after_delete": Otherwise(
            "decision 11: the id of a deleted schedule is free",
            201,
            {"outcome": "created"},
        ),
    },
)

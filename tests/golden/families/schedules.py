"""Schedules: made, changed, triggered, filled up, fired, deleted."""

from __future__ import annotations

from dwserver.engine.transition import TermGuard
from tests.golden.deviations import Deviation
from tests.golden.families.family import Family, Otherwise, later
from tests.golden.replaying import Replay
from tests.support.builders import SECOND

# 2026-11-21 04:46:37 UTC, when it was recorded: some requests name dates.
RECORDED_AT = 1_795_236_397_000_000
MADE = (
    "cron",
    "interval",
    "without_id",
    "overlap_skip",
    "overlap_buffer_one",
    "overlap_buffer_all",
    "overlap_cancel_other",
    "overlap_terminate_other",
    "overlap_allow_all",
    "legacy_timeout_names",
)
# From the newest to the oldest; one without an id of its own.
THERE = [
    {"schedule_id": name}
    for name in (
        "legacy-t",
        "ov-allow_all",
        "ov-terminate_other",
        "ov-cancel_other",
        "ov-buffer_all",
        "ov-buffer_one",
        "ov-skip",
        "01m7y6tjw66e7ez8h6wzxrv7h1",
        "int-1",
    )
]
CRON = {"schedule_id": "cron-1"}
NEVER_MADE = "without those that could never fire"
REFUSED = "golden: 500, or made though it could never fire"


async def prepare(replay: Replay) -> None:
    await replay.make_namespace()
    lease = await replay.node.core.store.acquire_leadership(
        "scheduler", "golden", duration=3600 * SECOND
    )
    assert lease is not None
    replay.held["guard"] = TermGuard("scheduler", lease.term)


async def a_second_passes(replay: Replay) -> None:
    """The leader of the schedulers fires what is due."""
    replay.node.clock.advance(seconds=1)
    schedules = replay.node.core.services.schedules
    await schedules.fire_due(replay.held["guard"], limit=100)


FAMILY = Family(
    prepare=prepare,
    began_at=RECORDED_AT,
    before={
        **{f"create_{name}": later(0.001) for name in MADE},
        "show_after_first_evaluate": a_second_passes,
        "show_after_second_evaluate_max_runs": a_second_passes,
    },
    deviations=(
        Deviation(
            r"(schedules\[\]\.)?(\w+_count|last_fire(d_at|_at)?|next_fire(_at)?|note"
            r"|paused(_at)?|status|workflow_type|action|spec|state|info|memo"
            r"|search_attributes|created_at|updated_at|jitter_seconds|max_runs"
            r"|remaining_actions|latest_workflow_instance_id)",
            "scheduling §2.3: both families of names, on lists as well",
            "extra",
        ),
        Deviation(
            r"(.*\.)?(latest_)?workflow_(instance_)?id",
            "scheduling §3.3: the id of an occurrence is that of its run",
            "'<id>' there, 'schedule:.*' here",
        ),
        Deviation(
            r"(info\.recent_actions\[\]|event\.payload)\."
            r"(occurrence_time|fire_lag_ms)",
            "scheduling §3.4: which occurrence was fired, and how late",
            "extra",
        ),
        Deviation(
            r"event\.payload\.command_context\.context\.request\.route_name",
            "a name that the framework of the original made up",
            "missing",
        ),
        Deviation(
            r"event\.payload\.command_context\.context\.server\.metadata",
            "decision 3: an empty map is {}",
            r"\[\] there, \{\} here",
        ),
    ),
    otherwise={
        **dict.fromkeys(
            (
                "create_empty_lists",
                "create_bad_cron",
                "create_cron_6_fields",
                "create_bad_interval",
                "create_interval_go_style",
                "create_interval_zero",
                "create_bad_timezone",
            ),
            Otherwise(REFUSED, 422, {"reason": "validation_failed"}),
        ),
        "list": Otherwise(NEVER_MADE, members={"schedules": [*THERE, CRON]}),
        "list_paged_params": Otherwise(
            "scheduling §2.3 [later]: pages", members={"schedules": THERE[:2]}
        ),
        "list_after_delete": Otherwise(
            NEVER_MADE, members={"schedules": [CRON, *THERE]}
        ),
        "resume_again": Otherwise(
            "golden: 500; every request may arrive three times",
            200,
            {"outcome": "resumed"},
        ),
        "create_after_delete": Otherwise("golden: 500", 201, {"outcome": "created"}),
    },
)

"""Namespaces, search attributes, storage and registered workers."""

from __future__ import annotations

from tests.golden.deviations import REGISTERED, Deviation
from tests.golden.families.family import Family, Otherwise
from tests.golden.replaying import Replay

SEEN_WHOLE = Otherwise(
    "the whole document is compared in the family of health",
    members={"default_namespace": "default"},
)


async def nothing(_: Replay) -> None:
    """The family needs no more than the default namespace."""


async def own_namespace(replay: Replay) -> None:
    await replay.make_namespace()


async def a_changed_namespace(replay: Replay) -> None:
    body = {"name": replay.namespace, "description": "Changed", "retention_days": 21}
    await replay.operator("POST", "/api/namespaces", body)


async def the_namespace_is_full(replay: Replay) -> None:
    for number in range(93):
        body = {"name": f"Fill{number}", "type": "keyword"}
        await replay.operator("POST", "/api/search-attributes", body)


async def only_those_of_the_recording(replay: Replay) -> None:
    await replay.operator("DELETE", "/api/workers/rt-rust")


NAMESPACES = Family(
    prepare=nothing,
    deviations=(
        Deviation(
            r"retention_days", "a number whatever was sent", "'12' there, 12 here"
        ),
    ),
    # There in no order, here by name.
    unordered={"namespaces": "name"},
)
SEARCH_ATTRIBUTES = Family(
    prepare=own_namespace, before={"fill_93": the_namespace_is_full}
)
STORAGE = Family(
    prepare=a_changed_namespace,
    otherwise={
        "test_local": Otherwise(
            "only within DW_EXTERNAL_STORAGE_LOCAL_ROOT, which is not set",
            422,
            {"status": "failed", "reason": "storage_driver_unavailable"},
        )
    },
)
SHOWN_WORKERS = (
    Deviation(r"stale_after_seconds", "worker-protocol §4.2: later", "extra"),
    Deviation(
        r"(workers\[\]\.)?(task_slots|capabilities|max_concurrent_worker_sessions"
        r"|heartbeat_interval_seconds|workflow_command_contracts|process_metrics)",
        "worker-protocol §4.1: what later workers tell of themselves",
        "extra",
    ),
)
WORKERS = Family(
    prepare=own_namespace,
    before={"list": only_those_of_the_recording},
    deviations=(
        *REGISTERED,
        Deviation(
            r"(validation_)?errors\.max_concurrent_workflow_tasks",
            "worker-protocol §4.1: 0 leaves one kind of task out",
            "missing",
        ),
        *SHOWN_WORKERS,
        Deviation(
            r"retention", "worker-protocol §4.2: no retention on this path", "missing"
        ),
    ),
    otherwise={
        "register_runtime_rust": Otherwise(
            "worker-protocol §4.1: seven runtimes", 201, {"registered": True}
        ),
        "cluster_info_fleet": SEEN_WHOLE,
    },
    # By their last heartbeat, all of one second.
    unordered={"workers": "worker_id"},
)

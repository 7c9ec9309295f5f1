"""One pass of the scheduler by a process that is no node: ``dwserver schedule-pass``.

It fires as the leader of the schedulers or not at all (decision 24): it takes the
leadership when nobody holds it, and gives it up at once afterwards. A pass that takes
longer than its lease is overtaken, and changes nothing any more.
"""

from __future__ import annotations

from typing import Final

from dwserver.config.settings import Settings
from dwserver.protocol.json_types import JsonObject
from dwserver.roles.core import Core
from dwserver.roles.reading import require_schema
from dwserver.roles.scheduler import LEADERSHIP, build_leadership, leader_view
from dwserver.runtime.ids import UlidSource
from dwserver.runtime.metrics import Metrics
from dwserver.services.schedules import Fired, FireOutcome

_FIRED: Final = (FireOutcome.TRIGGERED, FireOutcome.DRAINED)


async def run_schedule_pass(
    settings: Settings, core: Core, *, limit: int
) -> JsonObject:
    """Drain buffers and fire what is due, at most ``limit`` schedules of each.

    ``{leader, term, processed, fired, skipped, failed, results}``: ``leader`` is who
    leads instead of this process, and null while it led itself, in ``term``. Raises
    StoreError; BootError when the schema is not complete.
    """
    await require_schema(core.store)
    leadership = build_leadership(
        settings, core.store, incarnation=UlidSource().next(), metrics=Metrics()
    )
    fired: list[Fired] = []
    try:
        await leadership.look()
        term = leadership.term()
        if term is not None:
            fired = await core.services.schedules.fire_due(term, limit=limit)
    finally:
        await leadership.resign()
    lease = None if term else await core.store.find_leader(LEADERSHIP)
    failed = sum(each.outcome is FireOutcome.FAILED for each in fired)
    started = sum(each.outcome in _FIRED for each in fired)
    return {
        "leader": leader_view(lease) if lease else None,
        "term": term.term if term else None,
        "processed": len(fired),
        "fired": started,
        "skipped": len(fired) - started - failed,
        "failed": failed,
        "results": [_row(each) for each in fired],
    }


def _row(fired: Fired) -> JsonObject:
    """``spec/scheduling-and-maintenance.md`` §4.1, with the namespace."""
    is_failure = fired.outcome is FireOutcome.FAILED
    row: JsonObject = {
        "namespace": fired.schedule.namespace,
        "schedule_id": fired.schedule.schedule_id,
        "instance_id": fired.workflow_id,
        "run_id": fired.run_id,
        "outcome": "error" if is_failure else fired.outcome.value,
    }
    if fired.reason is not None:
        row["reason"] = fired.reason
    return row

"""The recorded families by name."""

from tests.golden.families import (
    activity_tasks,
    activity_timeouts,
    leases,
    queries,
    signals,
    updates,
    workflow_tasks,
)
from tests.golden.families.family import Family
from tests.golden.families.lifecycles import LIFECYCLES

FAMILIES: dict[str, Family] = {
    **LIFECYCLES,
    "activity_tasks": activity_tasks.FAMILY,
    "activity_timeouts": activity_timeouts.FAMILY,
    "leases": leases.FAMILY,
    "queries": queries.FAMILY,
    "signals": signals.FAMILY,
    "updates": updates.FAMILY,
    "workflow_tasks": workflow_tasks.FAMILY,
}

"""The recorded families by name."""

from tests.golden.families import (
    activity_tasks,
    activity_timeouts,
    administration,
    bridge_adapters,
    clients,
    edges,
    leases,
    queries,
    schedules,
    signals,
    updates,
    workflow_tasks,
    workflows,
)
from tests.golden.families.family import Family
from tests.golden.families.lifecycles import LIFECYCLES

FAMILIES: dict[str, Family] = {
    **LIFECYCLES,
    "activity_tasks": activity_tasks.FAMILY,
    "activity_timeouts": activity_timeouts.FAMILY,
    "auth_legacy": edges.AUTH_LEGACY,
    "auth_none": edges.AUTH_NONE,
    "auth_signature": edges.AUTH_SIGNATURE,
    "auth_unconfigured": edges.AUTH_UNCONFIGURED,
    "bridge_adapters": bridge_adapters.FAMILY,
    "commands": workflows.COMMANDS,
    "health": edges.HEALTH,
    "history": workflows.HISTORY,
    "leases": leases.FAMILY,
    "namespaces": administration.NAMESPACES,
    "protocol_errors": edges.PROTOCOL_ERRORS,
    "queries": queries.FAMILY,
    "schedules": schedules.FAMILY,
    "sdk_python_0_2_0": clients.SDK_0_2_0,
    "sdk_python_0_3_1": clients.SDK_0_3_1,
    "sdk_python_0_4_0": clients.SDK_0_4_0,
    "search_attributes": administration.SEARCH_ATTRIBUTES,
    "signals": signals.FAMILY,
    "storage": administration.STORAGE,
    "updates": updates.FAMILY,
    "workers": administration.WORKERS,
    "workflow_tasks": workflow_tasks.FAMILY,
    "workflows_read": workflows.READS,
    "workflows_start": workflows.STARTS,
}

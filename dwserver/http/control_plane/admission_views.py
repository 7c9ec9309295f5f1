"""What lets tasks of a queue be given out (``spec/topology-and-operations.md``
§5.6)."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final, Literal, TypedDict

from dwserver.engine.routing.caps import Caps
from dwserver.engine.words import TaskKind
from dwserver.http.route_shape import Count
from dwserver.protocol.json_types import JsonObject
from dwserver.services.queue_admission import AdmissionState, Budget
from dwserver.services.task_queues import QueryBudget, QueueBudgets, QueueView

# Cap → how the cap is called, what counts towards it, and what is left of it.
_NAMES: Final[Mapping[str, tuple[str, str, str]]] = MappingProxyType(
    {
        "leases": (
            "max_active_leases_per_queue",
            "active_lease_count",
            "remaining_active_lease_capacity",
        ),
        "namespace_leases": (
            "max_active_leases_per_namespace",
            "namespace_active_lease_count",
            "remaining_namespace_active_lease_capacity",
        ),
        "dispatches": (
            "max_dispatches_per_minute",
            "dispatch_count_this_minute",
            "remaining_dispatch_capacity",
        ),
        "namespace_dispatches": (
            "max_dispatches_per_minute_per_namespace",
            "namespace_dispatch_count_this_minute",
            "remaining_namespace_dispatch_capacity",
        ),
        "group_dispatches": (
            "max_dispatches_per_minute_per_budget_group",
            "budget_group_dispatch_count_this_minute",
            "remaining_budget_group_dispatch_capacity",
        ),
    }
)
_OVERRIDES: Final = "server.admission.queue_overrides"


def admission_view(queue: QueueView, budgets: QueueBudgets) -> JsonObject:
    return {
        **{
            f"{kind}_tasks": _tasks(queue, kind, state, can_lock=budgets.can_lock)
            for kind, state in budgets.tasks.items()
        },
        "query_tasks": _queries(budgets.queries),
    }


def _tasks(
    queue: QueueView, kind: TaskKind, state: AdmissionState, *, can_lock: bool
) -> JsonObject:
    load, slots = queue.backlog.loads[kind], queue.workers.slots[kind]
    caps, usage = state.caps, state.usage
    view: JsonObject = {
        "budget_source": f"worker_registration.max_concurrent_{kind}_tasks",
        "server_budget_source": _sources(caps, kind),
        "active_worker_count": queue.workers.active,
        "configured_slot_count": slots,
        "leased_count": load.leased,
        "ready_count": load.ready,
        "available_slot_count": max(slots - load.leased, 0),
    }
    for cap, (name, used, left) in _NAMES.items():
        limit, count = getattr(caps, cap), getattr(usage, cap)
        view[f"server_{name}"] = limit
        view[f"server_{used}"] = count
        view[f"server_{left}"] = None if limit is None else max(limit - count, 0)
    return {
        **view,
        "server_dispatch_budget_group": caps.group,
        "server_lock_required": caps.is_any,
        "server_lock_supported": can_lock,
        "status": _status(queue, slots=slots, leased=load.leased, budget=state.budget),
    }


def _sources(caps: Caps, kind: TaskKind) -> str:
    """Where the caps come from, or where one would."""
    sources = [
        _OVERRIDES
        if cap in caps.overridden
        else f"server.admission.{kind}_tasks.{name}"
        for cap, (name, *_) in _NAMES.items()
        if getattr(caps, cap) is not None
    ]
    default = f"server.admission.{kind}_tasks.{_NAMES['leases'][0]}"
    return ";".join(dict.fromkeys(sources)) or default


def _status(queue: QueueView, *, slots: int, leased: int, budget: Budget) -> str:
    if budget is not Budget.ACCEPTING:
        return budget.value
    if not queue.workers.active:
        return "no_active_workers"
    if slots <= 0:
        return "no_slots"
    return "saturated" if leased >= slots else Budget.ACCEPTING.value


def _queries(budget: QueryBudget) -> JsonObject:
    limit, pending = budget.limit, budget.pending
    view: JsonObject = {
        "budget_source": "server.query_tasks.max_pending_per_queue",
        "max_pending_per_queue": limit,
        "approximate_pending_count": pending,
        "remaining_pending_capacity": None,
        "lock_required": True,
        "lock_supported": pending is not None,
        "status": "unavailable",
    }
    if pending is not None:
        left = max(limit - pending, 0)
        view["remaining_pending_capacity"] = left
        view["status"] = "accepting" if left else "full"
    return view


class TaskAdmission(TypedDict):
    """A cap that is not set is null. Slots are those of active workers."""

    budget_source: str
    server_budget_source: str
    active_worker_count: Count
    configured_slot_count: Count
    leased_count: Count
    ready_count: Count
    available_slot_count: Count
    server_max_active_leases_per_queue: int | None
    server_active_lease_count: Count
    server_remaining_active_lease_capacity: int | None
    server_max_active_leases_per_namespace: int | None
    server_namespace_active_lease_count: Count
    server_remaining_namespace_active_lease_capacity: int | None
    server_max_dispatches_per_minute: int | None
    server_dispatch_count_this_minute: Count
    server_remaining_dispatch_capacity: int | None
    server_max_dispatches_per_minute_per_namespace: int | None
    server_namespace_dispatch_count_this_minute: Count
    server_remaining_namespace_dispatch_capacity: int | None
    server_dispatch_budget_group: str | None
    server_max_dispatches_per_minute_per_budget_group: int | None
    server_budget_group_dispatch_count_this_minute: Count
    server_remaining_budget_group_dispatch_capacity: int | None
    server_lock_required: bool
    server_lock_supported: bool
    status: Literal[
        "accepting",
        "throttled",
        "unavailable",
        "no_active_workers",
        "no_slots",
        "saturated",
    ]


class QueryAdmission(TypedDict):
    """Counts are null while the status is ``unavailable``."""

    budget_source: str
    max_pending_per_queue: Count
    approximate_pending_count: int | None
    remaining_pending_capacity: int | None
    lock_required: bool
    lock_supported: bool
    status: Literal["accepting", "full", "unavailable"]


class QueueAdmissionView(TypedDict):
    workflow_tasks: TaskAdmission
    activity_tasks: TaskAdmission
    query_tasks: QueryAdmission

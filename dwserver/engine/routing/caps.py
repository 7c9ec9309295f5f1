"""Admission caps of task queues (``spec/topology-and-operations.md §5.6``). Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from dwserver.engine.words import TaskKind

MINUTE: Final = 60_000_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Caps:
    """What a queue and what it shares may have at once or be given in a minute; None
    is no cap. ``group``: queues of a namespace that share one budget of dispatches.
    ``overridden``: the caps that were set for some queues alone; where they come from
    makes them no other caps."""

    leases: int | None = None
    namespace_leases: int | None = None
    dispatches: int | None = None
    namespace_dispatches: int | None = None
    group: str | None = None
    group_dispatches: int | None = None
    overridden: frozenset[str] = field(default=frozenset(), compare=False)

    @property
    def counts_leases(self) -> bool:
        return self.leases is not None or self.namespace_leases is not None

    @property
    def counts_dispatches(self) -> bool:
        caps = (self.dispatches, self.namespace_dispatches, self.group_dispatches)
        return any(cap is not None for cap in caps)

    @property
    def is_any(self) -> bool:
        return self.counts_leases or self.counts_dispatches

    @property
    def is_of_namespace(self) -> bool:
        caps = (self.namespace_leases, self.namespace_dispatches)
        return any(cap is not None for cap in caps)


@dataclass(frozen=True, slots=True, kw_only=True)
class Usage:
    """What a queue, its namespace and its group have now."""

    leases: int = 0
    namespace_leases: int = 0
    dispatches: int = 0
    namespace_dispatches: int = 0
    group_dispatches: int = 0

    def has_reached(self, caps: Caps) -> bool:
        """Whether any cap leaves no room for one more."""
        return any(
            cap is not None and used >= cap
            for used, cap in (
                (self.leases, caps.leases),
                (self.namespace_leases, caps.namespace_leases),
                (self.dispatches, caps.dispatches),
                (self.namespace_dispatches, caps.namespace_dispatches),
                (self.group_dispatches, caps.group_dispatches),
            )
        )


# Field of the overrides, its other names, and the cap that it is.
_NUMBERS: Final = {
    "leases": ("max_active_leases", "max_active_leases_per_queue"),
    "namespace_leases": ("max_active_leases_per_namespace",),
    "dispatches": ("max_dispatches_per_minute",),
    "namespace_dispatches": ("max_dispatches_per_minute_per_namespace",),
    "group_dispatches": ("max_dispatches_per_minute_per_budget_group",),
}
_GROUP: Final = ("dispatch_budget_group", "budget_group")
_KINDS: Final = {
    TaskKind.WORKFLOW: "workflow_tasks",
    TaskKind.ACTIVITY: "activity_tasks",
}


def caps_for(
    defaults: Caps,
    overrides: Mapping[str, Any],
    *,
    namespace: str,
    queue: str,
    kind: TaskKind,
) -> Caps:
    """The defaults, overridden field by field: of ``namespace:queue``, ``namespace:*``,
    ``queue`` and ``*`` the first that names the field counts. What is not a positive
    number is no cap."""
    layers = _layers(overrides, namespace=namespace, queue=queue, kind=kind)
    numbers = {
        cap: _number(_first(layers, names, getattr(defaults, cap)))
        for cap, names in _NUMBERS.items()
    }
    group = _first(layers, _GROUP, defaults.group)
    name = group.strip() if isinstance(group, str) else ""
    if not name:
        numbers["group_dispatches"] = None
    overridden = frozenset(
        cap
        for cap, names in _NUMBERS.items()
        if numbers[cap] is not None
        and any(name in layer for layer in layers for name in names)
    )
    return Caps(group=name or None, overridden=overridden, **numbers)


def _layers(
    overrides: Mapping[str, Any], *, namespace: str, queue: str, kind: TaskKind
) -> list[Mapping[str, Any]]:
    """What the overrides say of the queue, the nearest first."""
    layers = []
    for key in (f"{namespace}:{queue}", f"{namespace}:*", queue, "*"):
        of_queue = overrides.get(key)
        layer = of_queue.get(_KINDS[kind]) if isinstance(of_queue, Mapping) else None
        if isinstance(layer, Mapping):
            layers.append(layer)
    return layers


def _first(
    layers: list[Mapping[str, Any]], names: tuple[str, ...], default: Any
) -> Any:
    for layer in layers:
        for name in names:
            if name in layer:
                return layer[name]
    return default


def _number(value: Any) -> int | None:
    if isinstance(value, bool):
        return None
    try:
        number = int(value)
    except (TypeError, ValueError, OverflowError):
        return None
    return number if number > 0 else None

"""Commands that only leave a record: ``record_side_effect``,
``record_version_marker``, ``upsert_search_attributes``
(``spec/worker-protocol.md §8.7``)."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import assert_never

from dwserver.engine.background import Background
from dwserver.engine.draft import Draft
from dwserver.engine.events import task_snapshot
from dwserver.engine.model import JsonMap, Payload, Task
from dwserver.engine.outcome import Rejection
from dwserver.engine.payloads import WIRE_CODEC, embed
from dwserver.engine.records import replace
from dwserver.engine.search_attributes import SYSTEM_ATTRIBUTES, problem_of
from dwserver.engine.words import EventType


@dataclass(frozen=True, slots=True, kw_only=True)
class RecordSideEffect:
    result: Payload | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class RecordVersionMarker:
    change_id: str
    version: int
    min_supported: int
    max_supported: int


@dataclass(frozen=True, slots=True, kw_only=True)
class UpsertSearchAttributes:
    """``attributes`` by name; a null value deletes. ``types`` come with the values for
    names that the namespace has not defined."""

    attributes: JsonMap
    types: Mapping[str, str] = field(default_factory=dict)


Marker = RecordSideEffect | RecordVersionMarker | UpsertSearchAttributes


def apply(draft: Draft, marker: Marker, *, cause: Task, background: Background) -> None:
    """Record it as a step of its own."""
    fields: dict[str, object] = {"sequence": draft.next_step()}
    match marker:
        case RecordSideEffect(result=result):
            event_type = EventType.SIDE_EFFECT_RECORDED
            fields |= {"result": embed(result), "payload_codec": WIRE_CODEC}
        case RecordVersionMarker():
            event_type = EventType.VERSION_MARKER_RECORDED
            fields |= {
                "change_id": marker.change_id,
                "version": marker.version,
                "min_supported": marker.min_supported,
                "max_supported": marker.max_supported,
            }
        case UpsertSearchAttributes(attributes=attributes):
            event_type = EventType.SEARCH_ATTRIBUTES_UPSERTED
            current = draft.input or background.input
            merged = merge(current.search_attributes, attributes)
            draft.input = replace(current, search_attributes=merged)
            fields |= {"attributes": attributes, "merged": merged}
        case _:
            assert_never(marker)
    fields["task"] = task_snapshot(cause)
    draft.append(event_type, fields, task_id=cause.id)


def check(
    draft: Draft, commands: Iterable[object], background: Background
) -> Rejection | None:
    """Rules about markers that a worker breaks knowingly, not by a slip of form."""
    limits = draft.context.policy.limits
    for command in commands:
        problem = None
        if isinstance(command, RecordVersionMarker):
            problem = _version_problem(command)
        elif isinstance(command, UpsertSearchAttributes):
            types = {
                **command.types,
                **background.attribute_types,
                **SYSTEM_ATTRIBUTES,
            }
            problem = problem_of(command.attributes, types, limits)
        if problem is not None:
            return Rejection("invalid_commands", problem)
    return None


def _version_problem(marker: RecordVersionMarker) -> str | None:
    if marker.min_supported <= marker.version <= marker.max_supported:
        return None
    return (
        f"Version {marker.version} of change [{marker.change_id}] is outside "
        f"{marker.min_supported} to {marker.max_supported}."
    )


def search_attribute_sizes(
    draft: Draft, commands: Iterable[object], background: Background
) -> list[tuple[str, int, int]]:
    """What the search attributes would come to, as (limit, value, bound): their
    number and the bytes of their JSON text (§12)."""
    upserts = [c for c in commands if isinstance(c, UpsertSearchAttributes)]
    if not upserts:
        return []
    limits = draft.context.policy.limits
    merged: JsonMap = (draft.input or background.input).search_attributes
    for upsert in upserts:
        merged = merge(merged, upsert.attributes)
    size = len(draft.context.encode(merged))
    return [
        ("search_attribute_count", len(merged), limits.search_attributes),
        ("search_attribute_size", size, limits.search_attribute_bytes),
    ]


def merge(current: JsonMap, changes: JsonMap) -> dict[str, object]:
    """``current`` with ``changes``, without the names that became null."""
    both = {**current, **changes}
    return {name: value for name, value in both.items() if value is not None}

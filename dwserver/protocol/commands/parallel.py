"""Parallel-group metadata of blocking commands (``spec/worker-protocol.md`` §8.14,
``spec/client-compatibility.md`` §8).

A group is identified by ``{prefix}:{base}:{size}``. The path lists the groups that a
command is in, the outermost first; its last entry is repeated on the command itself.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

from dwserver.engine.model import JsonMap
from dwserver.engine.parallel import GROUP_KEYS
from dwserver.protocol.commands.fields import (
    MAX_COUNT,
    CommandFields,
    as_whole_number,
)
from dwserver.protocol.json_types import JsonObject, JsonValue

PATH: Final = "parallel_group_path"
MODE: Final = "parallel_group_mode"
SELECTION: Final = "select"
MAX_GROUP_SIZE: Final = 1000
MAX_NESTING: Final = 32

GROUP_PREFIXES: Final[Mapping[str, str]] = MappingProxyType(
    {
        "activity": "parallel-activities",
        "child": "parallel-children",
        "timer": "parallel-timers",
        "condition": "parallel-conditions",
        "mixed": "parallel-calls",
    }
)

_ALL_KEYS: Final = (*GROUP_KEYS, PATH)
_KEY_SET: Final = frozenset(_ALL_KEYS)


def parse_parallel(fields: CommandFields) -> JsonMap | None:
    """The five group keys and the path; None for a command in no group."""
    raw = fields.raw
    if _KEY_SET.isdisjoint(raw):
        return None
    given = [key for key in _ALL_KEYS if raw.get(key) is not None]
    if not given:
        return None
    if raw.get(MODE) == SELECTION:
        fields.report(MODE, "Durable selections are not supported by this server.")
        return None
    if len(given) < len(_ALL_KEYS):
        missing = ", ".join(key for key in _ALL_KEYS if key not in given)
        fields.report(PATH, f"Parallel group metadata is incomplete: {missing}.")
        return None
    path = _path(fields, raw[PATH])
    if not path:
        return None
    if _group(raw) != path[-1]:
        fields.report(PATH, "The last group of the path must be the command's own.")
        return None
    return {**path[-1], PATH: path}


def _path(fields: CommandFields, raw: JsonValue) -> list[JsonObject]:
    if not isinstance(raw, list) or not 0 < len(raw) <= MAX_NESTING:
        fields.report(PATH, f"The path must list 1 to {MAX_NESTING} groups.")
        return []
    groups: list[JsonObject] = []
    for index, entry in enumerate(raw):
        group = _group(entry) if isinstance(entry, dict) else None
        if group is None:
            fields.report(
                f"{PATH}.{index}", "Not a parallel group: keys, id and index disagree."
            )
        else:
            groups.append(group)
    return groups if len(groups) == len(raw) else []


def _group(raw: JsonObject) -> JsonObject | None:
    """The five keys of a group, if they fit each other."""
    kind = raw.get("parallel_group_kind")
    prefix = GROUP_PREFIXES.get(kind) if isinstance(kind, str) else None
    base = as_whole_number(raw.get("parallel_group_base_sequence"))
    size = as_whole_number(raw.get("parallel_group_size"))
    index = as_whole_number(raw.get("parallel_group_index"))
    if prefix is None or base is None or size is None or index is None:
        return None
    is_sound = (
        1 <= base <= MAX_COUNT
        and 1 <= size <= MAX_GROUP_SIZE
        and 0 <= index < size
        and raw.get("parallel_group_id") == f"{prefix}:{base}:{size}"
    )
    if not is_sound:
        return None
    return {
        "parallel_group_id": raw["parallel_group_id"],
        "parallel_group_kind": kind,
        "parallel_group_base_sequence": base,
        "parallel_group_size": size,
        "parallel_group_index": index,
    }

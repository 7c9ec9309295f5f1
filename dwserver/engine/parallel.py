"""Parallel-group metadata of commands (``spec/worker-protocol.md §8.14``, §10).

A worker numbers a group by the steps it knows of; the step numbers that the server
assigns decide. Stored metadata is shifted so that for every entry of the path
``base + index`` is the step it names.
"""

from __future__ import annotations

from typing import cast

from dwserver.engine.model import JsonMap

GROUP_KEYS = (
    "parallel_group_id",
    "parallel_group_kind",
    "parallel_group_base_sequence",
    "parallel_group_size",
    "parallel_group_index",
)


def rebase(parallel: JsonMap | None, *, step: int) -> JsonMap | None:
    """``parallel`` with its bases moved so that the innermost entry names ``step``."""
    if parallel is None:
        return None
    base = cast(int, parallel["parallel_group_base_sequence"])
    index = cast(int, parallel["parallel_group_index"])
    shift = step - (base + index)
    if shift == 0:
        return parallel
    path = cast("list[JsonMap]", parallel.get("parallel_group_path") or [])
    return {
        **_shifted(parallel, shift),
        "parallel_group_path": [_shifted(entry, shift) for entry in path],
    }


def _shifted(entry: JsonMap, shift: int) -> dict[str, object]:
    base = cast(int, entry["parallel_group_base_sequence"]) + shift
    prefix = str(entry["parallel_group_id"]).split(":", 1)[0]
    return {
        **entry,
        "parallel_group_id": f"{prefix}:{base}:{entry['parallel_group_size']}",
        "parallel_group_base_sequence": base,
    }

"""What is deleted of pruned runs: one statement for each kind of rows."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from dwserver.store.retention import RunPart

_TABLES: Final[Mapping[RunPart, str]] = {
    RunPart.EVENTS: "history_events",
    RunPart.TASKS: "tasks",
    RunPart.ACTIVITIES: "activities",
    RunPart.ATTEMPTS: "activity_attempts",
    RunPart.TIMERS: "timers",
    RunPart.CHILDREN: "children",
    RunPart.WAITS: "waits",
    RunPart.SIGNALS: "signals",
    RunPart.UPDATES: "updates",
    RunPart.COMMANDS: "commands",
    RunPart.FAILURES: "failures",
    RunPart.ATTRIBUTES: "run_attributes",
}
# The index of finished tasks by their run has the closed ones.
_ONLY: Final[Mapping[RunPart, str]] = {RunPart.TASKS: "\nand closed_at is not null"}


def prune_statements(block: str) -> dict[RunPart, str]:
    """The statements, from the block ``prune_part`` of a dialect."""
    return {
        part: block.replace("{table}", table) + _ONLY.get(part, "")
        for part, table in _TABLES.items()
    }

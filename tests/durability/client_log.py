"""What the server acknowledged to the clients of a load: it must never be lost."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TypeAlias

import orjson


@dataclass(frozen=True, slots=True)
class Started:
    """``run_id``: None when the answer was lost and the repetition was refused as a
    duplicate, which says that the workflow exists."""

    workflow_id: str
    run_id: str | None


@dataclass(frozen=True, slots=True)
class ActivityDone:
    """``failed``: the attempt was reported as failed, with attempts left."""

    run_id: str
    attempt_id: str
    activity_type: str
    failed: bool


@dataclass(frozen=True, slots=True)
class TaskDone:
    """A workflow task was completed; ``output``: blob that ended the run, else None."""

    run_id: str
    task_id: str
    activity_types: tuple[str, ...]
    timers: int
    output: str | None


Entry: TypeAlias = Started | ActivityDone | TaskDone


class ClientLog:
    """Append-only; every entry is also a JSON line of ``path``."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._entries: list[Entry] = []

    def append(self, entry: Entry) -> None:
        line = orjson.dumps({"kind": type(entry).__name__, **asdict(entry)})
        with self._path.open("ab") as file:
            file.write(line + b"\n")
        self._entries.append(entry)

    def __iter__(self) -> Iterator[Entry]:
        return iter(self._entries)

    def __len__(self) -> int:
        return len(self._entries)

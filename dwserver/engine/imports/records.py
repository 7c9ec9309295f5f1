"""What was read of a bundle: records of our own model, as far as its rows tell.

Steps have no batch yet, messages no place in history, and tasks no type: the history
says it (``translation``).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from dwserver.engine.model import (
    ClosedAttempt,
    Command,
    Failure,
    JsonMap,
    Payload,
    Run,
    RunInput,
    Signal,
    Task,
    Timer,
    Update,
)
from dwserver.engine.records import quick_init
from dwserver.engine.transition import NewActivity
from dwserver.engine.words import ChildStatus, EventType


class InconsistentBundle(Exception):
    """What the bundle says in one place cannot be true beside what it says in another.

    ``rule`` names it for the report, the text says what and where.
    """

    def __init__(self, rule: str, message: str) -> None:
        super().__init__(message)
        self.rule = rule


@quick_init
@dataclass(frozen=True, slots=True, kw_only=True)
class BundleEvent:
    """``text``: the payload as JSON, as it is stored."""

    id: str
    sequence: int
    event_type: EventType
    payload: JsonMap
    text: bytes
    recorded_at: int
    task_id: str | None
    command_id: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Lineage:
    """Where the run comes from, as its links say."""

    continued_from_run_id: str | None = None
    parent_run_id: str | None = None
    parent_step: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Bundle:
    """``timer_tasks``: ids of the tasks of timers by the ids of these; our timers have
    no rows of their own for them. ``children``: how child calls stand, by step."""

    run: Run
    input: RunInput
    output: Payload | None
    is_current: bool
    events: tuple[BundleEvent, ...]
    tasks: tuple[Task, ...]
    timer_tasks: Mapping[str, str]
    activities: tuple[NewActivity, ...]
    attempts: tuple[ClosedAttempt, ...]
    timers: tuple[Timer, ...]
    children: Mapping[int, ChildStatus]
    commands: tuple[Command, ...]
    signals: tuple[Signal, ...]
    updates: tuple[Update, ...]
    failures: tuple[Failure, ...]
    lineage: Lineage

"""What decisions about a run read."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Protocol

from dwserver.engine.model.messages import Signal, Update
from dwserver.engine.model.runs import Run, Task
from dwserver.engine.model.steps import Activity, Child, Timer, Wait
from dwserver.engine.records import quick_init


@quick_init
@dataclass(frozen=True, slots=True)
class RunState:
    """The hot state of a run.

    ``tasks`` by id: the open ones. ``activities``, ``timers``, ``children`` and
    ``waits`` by step number, in rising order: the open and the held ones, and all
    members of the newest batch. ``signals`` not yet applied and ``updates`` not yet
    closed by command sequence, in rising order.
    """

    run: Run
    tasks: Mapping[str, Task] = field(default_factory=dict)
    activities: Mapping[int, Activity] = field(default_factory=dict)
    timers: Mapping[int, Timer] = field(default_factory=dict)
    children: Mapping[int, Child] = field(default_factory=dict)
    waits: Mapping[int, Wait] = field(default_factory=dict)
    signals: Mapping[int, Signal] = field(default_factory=dict)
    updates: Mapping[int, Update] = field(default_factory=dict)


class RunRows(Protocol):
    """The rows of a run as they stand: loaded ones, or those of a draft."""

    @property
    def run(self) -> Run: ...
    @property
    def tasks(self) -> Mapping[str, Task]: ...
    @property
    def activities(self) -> Mapping[int, Activity]: ...
    @property
    def timers(self) -> Mapping[int, Timer]: ...
    @property
    def children(self) -> Mapping[int, Child]: ...
    @property
    def waits(self) -> Mapping[int, Wait]: ...
    @property
    def signals(self) -> Mapping[int, Signal]: ...
    @property
    def updates(self) -> Mapping[int, Update]: ...

"""The kinds of commands of a completion."""

from __future__ import annotations

from collections.abc import Sequence

from dwserver.engine.commands.activities import ScheduleActivity
from dwserver.engine.commands.children import StartChildWorkflow
from dwserver.engine.commands.markers import (
    Marker,
    RecordSideEffect,
    RecordVersionMarker,
    UpsertSearchAttributes,
)
from dwserver.engine.commands.terminal import (
    CompleteWorkflow,
    ContinueAsNew,
    FailWorkflow,
)
from dwserver.engine.commands.timers import StartTimer
from dwserver.engine.commands.updates import CloseUpdate, CompleteUpdate, FailUpdate
from dwserver.engine.commands.waits import OpenConditionWait, OpenSignalWait

BlockingCommand = (
    ScheduleActivity
    | StartTimer
    | StartChildWorkflow
    | OpenConditionWait
    | OpenSignalWait
)
OpenCommand = BlockingCommand | Marker | CloseUpdate
TerminalCommand = CompleteWorkflow | FailWorkflow | ContinueAsNew
WorkflowCommand = OpenCommand | TerminalCommand
WAITS = (OpenConditionWait, OpenSignalWait)
BLOCKING = (ScheduleActivity, StartTimer, StartChildWorkflow, *WAITS)
UPDATES = (CompleteUpdate, FailUpdate)
MARKERS = (RecordSideEffect, RecordVersionMarker, UpsertSearchAttributes)
TERMINAL = (CompleteWorkflow, FailWorkflow, ContinueAsNew)


def blocking_of(commands: Sequence[WorkflowCommand]) -> list[BlockingCommand]:
    return [command for command in commands if isinstance(command, BLOCKING)]

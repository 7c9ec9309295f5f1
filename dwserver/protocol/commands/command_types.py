"""The table of command types, and the list of a completion read by it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final

from dwserver.engine.commands.kinds import WorkflowCommand
from dwserver.protocol.capabilities import WorkerCommand
from dwserver.protocol.commands import (
    markers,
    schedule_activity,
    start_child_workflow,
    start_timer,
    terminal,
    updates,
    waits,
)
from dwserver.protocol.commands.fields import CommandFields
from dwserver.protocol.commands.scope import check_scope
from dwserver.protocol.json_types import JsonValue
from dwserver.protocol.validation import Errors, must_be, required
from dwserver.protocol.versions import OLDEST_WORKER_VERSION, WorkerVersion


@dataclass(frozen=True, slots=True)
class CommandType:
    """A command that a worker may send. What ``parse`` returns means nothing when it
    has reported an error. A terminal command closes the run and stands last."""

    name: WorkerCommand
    is_terminal: bool
    parse: Callable[[CommandFields], WorkflowCommand]


_TYPES: Final = (
    CommandType(WorkerCommand.COMPLETE_WORKFLOW, True, terminal.complete_workflow),
    CommandType(WorkerCommand.FAIL_WORKFLOW, True, terminal.fail_workflow),
    CommandType(WorkerCommand.CONTINUE_AS_NEW, True, terminal.continue_as_new),
    CommandType(WorkerCommand.SCHEDULE_ACTIVITY, False, schedule_activity.parse),
    CommandType(WorkerCommand.START_TIMER, False, start_timer.parse),
    CommandType(WorkerCommand.START_CHILD_WORKFLOW, False, start_child_workflow.parse),
    CommandType(WorkerCommand.COMPLETE_UPDATE, False, updates.complete_update),
    CommandType(WorkerCommand.FAIL_UPDATE, False, updates.fail_update),
    CommandType(WorkerCommand.RECORD_SIDE_EFFECT, False, markers.record_side_effect),
    CommandType(
        WorkerCommand.RECORD_VERSION_MARKER, False, markers.record_version_marker
    ),
    CommandType(
        WorkerCommand.UPSERT_SEARCH_ATTRIBUTES, False, markers.upsert_search_attributes
    ),
    CommandType(WorkerCommand.OPEN_CONDITION_WAIT, False, waits.open_condition_wait),
    CommandType(WorkerCommand.OPEN_SIGNAL_WAIT, False, waits.open_signal_wait),
)

COMMAND_TYPES: Final[Mapping[str, CommandType]] = MappingProxyType(
    {str(command.name): command for command in _TYPES}
)

# What ``supported_workflow_task_commands`` may tell.
WORKING_COMMANDS: Final = frozenset(command.name for command in _TYPES)


def parse_commands(
    raw: JsonValue, *, run_codec: str, version: WorkerVersion = OLDEST_WORKER_VERSION
) -> tuple[list[WorkflowCommand], Errors]:
    """The commands of a ``complete`` request in list order, and what is wrong.

    ``raw`` is the value of ``commands``; an empty list is a completion without news.
    ``run_codec`` is the codec of blobs that come without an envelope, ``version`` what
    the worker speaks. Errors have paths such as ``commands.0.activity_type``; with any,
    the commands mean nothing.
    """
    if not isinstance(raw, list):
        text = required("commands") if raw is None else must_be("commands", "an array")
        return [], {"commands": [text]}
    commands: list[WorkflowCommand] = []
    errors: Errors = {}
    for index, item in enumerate(raw):
        members = item if isinstance(item, dict) else {}
        fields = CommandFields(members, f"commands.{index}", run_codec, errors, version)
        command_type = _type_of(fields)
        if command_type is not None:
            check_scope(command_type.name, fields)
            commands.append(command_type.parse(fields))
    return commands, errors


def _type_of(fields: CommandFields) -> CommandType | None:
    name = fields.raw.get("type")
    if name is None or name == "":
        fields.report("type", required(fields.path_of("type")))
    elif not isinstance(name, str):
        fields.report("type", must_be(fields.path_of("type"), "a string"))
    elif (command_type := COMMAND_TYPES.get(name)) is not None:
        return command_type
    else:
        fields.report("type", f"This server knows no command type [{name[:64]}].")
    return None

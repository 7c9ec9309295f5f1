"""Which fields belong to which commands.

A field with a value on a command that it does not belong to is an error, because
dropping it would change what the workflow asked for (``spec/worker-protocol.md``
§6.8).
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

from dwserver.protocol.capabilities import WorkerCommand as Command
from dwserver.protocol.commands.fields import CommandFields

_ACTIVITY: Final = frozenset({Command.SCHEDULE_ACTIVITY})
_CHILD: Final = frozenset({Command.START_CHILD_WORKFLOW})
_FAILURES: Final = frozenset({Command.FAIL_WORKFLOW, Command.FAIL_UPDATE})
_WAITS: Final = frozenset({Command.OPEN_CONDITION_WAIT, Command.OPEN_SIGNAL_WAIT})

SCOPES: Final[Mapping[str, frozenset[Command]]] = MappingProxyType(
    {
        "retry_policy": _ACTIVITY | _CHILD,
        "start_to_close_timeout": _ACTIVITY,
        "schedule_to_start_timeout": _ACTIVITY,
        "schedule_to_close_timeout": _ACTIVITY,
        "heartbeat_timeout": _ACTIVITY,
        # Sessions are not offered: an activity must not run outside the one it names.
        "worker_session": frozenset(),
        "execution_timeout_seconds": _CHILD,
        "run_timeout_seconds": _CHILD,
        "parent_close_policy": _CHILD,
        "non_retryable": _FAILURES,
        "exception": frozenset({Command.FAIL_WORKFLOW}),
        "delay_seconds": frozenset({Command.START_TIMER}),
        "timeout_seconds": _WAITS,
    }
)

_FOREIGN: Final[Mapping[Command, frozenset[str]]] = MappingProxyType(
    {
        command: frozenset(
            field for field, commands in SCOPES.items() if command not in commands
        )
        for command in Command
    }
)


def check_scope(command: Command, fields: CommandFields) -> None:
    """Report the fields of ``fields`` that belong to other commands."""
    foreign = _FOREIGN[command]
    if foreign.isdisjoint(fields.raw):
        return
    for name in fields.raw:
        if name in foreign and fields.raw[name] is not None:
            fields.report(name, _text(name, command))


def _text(name: str, command: Command) -> str:
    allowed = [str(known) for known in Command if known in SCOPES[name]]
    if not allowed:
        return f"{name} is not supported by this server."
    return f"{name} belongs to {' and '.join(allowed)}, not to {command}."

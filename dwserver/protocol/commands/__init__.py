"""Commands of a workflow-task completion, from JSON to the engine's records.

Source: ``spec/worker-protocol.md`` §6.8, §7 and §8, ``spec/client-compatibility.md``
§8. One file for each family; :data:`COMMAND_TYPES` names what a worker may send.
"""

from dwserver.protocol.commands.command_types import (
    COMMAND_TYPES,
    WORKING_COMMANDS,
    CommandType,
    parse_commands,
)

__all__ = ["COMMAND_TYPES", "WORKING_COMMANDS", "CommandType", "parse_commands"]

"""``open_condition_wait``, ``open_signal_wait`` (``spec/worker-protocol.md`` §8.9,
§8.10)."""

from __future__ import annotations

from dwserver.engine.commands.waits import OpenConditionWait, OpenSignalWait
from dwserver.protocol.commands.fields import CommandFields
from dwserver.protocol.commands.parallel import parse_parallel


def open_condition_wait(fields: CommandFields) -> OpenConditionWait:
    return OpenConditionWait(
        condition_key=fields.identifier("condition_key"),
        fingerprint=fields.identifier("condition_definition_fingerprint"),
        timeout_seconds=fields.seconds("timeout_seconds", minimum=0),
        parallel=parse_parallel(fields),
    )


def open_signal_wait(fields: CommandFields) -> OpenSignalWait:
    return OpenSignalWait(
        name=fields.required_identifier("signal_name"),
        timeout_seconds=fields.seconds("timeout_seconds", minimum=0),
        parallel=parse_parallel(fields),
    )

"""``start_timer`` (``spec/worker-protocol.md`` §8.5)."""

from __future__ import annotations

from dwserver.engine.commands.timers import StartTimer
from dwserver.protocol.commands.fields import CommandFields
from dwserver.protocol.commands.parallel import parse_parallel


def parse(fields: CommandFields) -> StartTimer:
    delay = fields.seconds("delay_seconds", minimum=0, is_required=True)
    return StartTimer(delay_seconds=delay or 0, parallel=parse_parallel(fields))

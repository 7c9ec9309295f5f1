"""``complete_update``, ``fail_update`` (``spec/worker-protocol.md`` §8.8)."""

from __future__ import annotations

from dwserver.engine.commands.updates import CompleteUpdate, FailUpdate
from dwserver.protocol.commands.fields import CommandFields


def complete_update(fields: CommandFields) -> CompleteUpdate:
    return CompleteUpdate(
        update_id=fields.required_identifier("update_id"),
        result=fields.payload("result"),
    )


def fail_update(fields: CommandFields) -> FailUpdate:
    return FailUpdate(
        update_id=fields.required_identifier("update_id"),
        message=fields.failure_message(),
        exception_type=fields.optional_text("exception_type"),
        exception_class=fields.optional_text("exception_class"),
        non_retryable=fields.flag("non_retryable"),
    )

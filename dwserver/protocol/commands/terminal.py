"""``complete_workflow``, ``fail_workflow``, ``continue_as_new``
(``spec/worker-protocol.md`` §8.1–8.3)."""

from __future__ import annotations

from dwserver.engine.commands.terminal import (
    CompleteWorkflow,
    ContinueAsNew,
    FailWorkflow,
)
from dwserver.protocol.commands.fields import CommandFields


def complete_workflow(fields: CommandFields) -> CompleteWorkflow:
    return CompleteWorkflow(result=fields.payload("result"))


def fail_workflow(fields: CommandFields) -> FailWorkflow:
    return FailWorkflow(
        message=fields.failure_message(),
        exception_type=fields.optional_text("exception_type"),
        exception_class=fields.optional_text("exception_class"),
        exception=fields.json_object("exception"),
        non_retryable=fields.flag("non_retryable"),
    )


def continue_as_new(fields: CommandFields) -> ContinueAsNew:
    return ContinueAsNew(
        arguments=fields.payload("arguments", "input"),
        workflow_type=fields.identifier("workflow_type"),
        queue=fields.identifier("queue", "task_queue"),
    )

"""``start_child_workflow`` (``spec/worker-protocol.md`` §8.6)."""

from __future__ import annotations

from dwserver.engine.commands.children import StartChildWorkflow
from dwserver.engine.model import RetryPolicy
from dwserver.engine.words import ParentClosePolicy
from dwserver.protocol.commands.fields import CommandFields
from dwserver.protocol.commands.parallel import parse_parallel
from dwserver.protocol.commands.retry_policy import parse_retry_policy
from dwserver.protocol.validation import must_be


def parse(fields: CommandFields) -> StartChildWorkflow:
    # Tasks are routed by queue alone: a connection is checked and has no effect.
    fields.identifier("connection")
    execution, run = _timeouts(fields)
    return StartChildWorkflow(
        workflow_type=fields.required_identifier("workflow_type"),
        arguments=fields.payload("arguments", "input"),
        queue=fields.identifier("queue", "task_queue"),
        parent_close_policy=_parent_close_policy(fields),
        retry_policy=_retry_policy(fields),
        execution_timeout_seconds=execution,
        run_timeout_seconds=run,
        parallel=parse_parallel(fields),
    )


def _timeouts(fields: CommandFields) -> tuple[int | None, int | None]:
    execution = fields.seconds("execution_timeout_seconds", minimum=1)
    run = fields.seconds("run_timeout_seconds", minimum=1)
    if execution is not None and run is not None and run > execution:
        fields.report(
            "run_timeout_seconds",
            "run_timeout_seconds must not exceed execution_timeout_seconds.",
        )
    return execution, run


def _parent_close_policy(fields: CommandFields) -> ParentClosePolicy:
    word = fields.identifier("parent_close_policy")
    if word is None:
        return ParentClosePolicy.ABANDON
    try:
        return ParentClosePolicy(word)
    except ValueError:
        path = fields.path_of("parent_close_policy")
        choice = ", ".join(ParentClosePolicy)
        fields.report("parent_close_policy", must_be(path, f"one of {choice}"))
        return ParentClosePolicy.ABANDON


def _retry_policy(fields: CommandFields) -> RetryPolicy | None:
    rule = parse_retry_policy(fields)
    if rule is None:
        return None
    return RetryPolicy(
        max_attempts=rule.max_attempts,
        backoff_seconds=rule.backoff_seconds,
        non_retryable_error_types=rule.non_retryable_error_types,
    )

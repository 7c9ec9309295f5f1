"""What signals and updates have in common on their way in (§9.4–9.6)."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from dwserver.engine.draft import Draft
from dwserver.engine.hosts import is_host
from dwserver.engine.lifecycle.operator import OperatorRequest
from dwserver.engine.model import JsonMap, Payload
from dwserver.engine.words import CommandRejection


@dataclass(frozen=True, slots=True, kw_only=True)
class MessageRequest(OperatorRequest):
    """A message to the current run of a workflow.

    ``known_names``: what the contract of the workflow type declares; None without a
    contract, then every name is good. ``argument_errors``: what that contract finds
    wrong with the arguments, texts by field.
    """

    name: str
    arguments: Payload | None = None
    known_names: frozenset[str] | None = None
    argument_errors: JsonMap = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Intake:
    """How one kind of message words its refusals, and how many may be pending."""

    unknown_name: CommandRejection
    bad_arguments: CommandRejection
    pending: Callable[[Draft], int]
    limit: Callable[[Draft], int]


def refusal(
    draft: Draft, request: MessageRequest, intake: Intake
) -> CommandRejection | None:
    """The first check that fails, in the order of the contract."""
    if draft.run.status.is_terminal:
        return CommandRejection.RUN_NOT_ACTIVE
    known = request.known_names
    if is_host(draft.run) or (known is not None and request.name not in known):
        return intake.unknown_name
    if request.argument_errors:
        return intake.bad_arguments
    arguments = request.arguments
    size = len(arguments.data.encode()) if arguments else 0
    if (
        0 < intake.limit(draft) <= intake.pending(draft)
        or 0 < draft.context.policy.limits.payload_bytes < size
    ):
        return CommandRejection.STRUCTURAL_LIMIT_EXCEEDED
    return None

"""What a decision answers when it does not change anything."""

from __future__ import annotations

from dataclasses import dataclass, field

from dwserver.engine.model import JsonMap


@dataclass(frozen=True, slots=True)
class Rejection:
    """A refusal: ``reason`` is a word of the reason table (``protocol.reasons``).

    ``fields`` are the extra body fields of that reason in the contract.
    """

    reason: str
    message: str = ""
    fields: JsonMap = field(default_factory=dict)

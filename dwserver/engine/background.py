"""What a decision needs of a run that is not part of its hot state."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from dwserver.engine.model import Instance, Payload, RunInput

_NO_INPUT = RunInput(arguments=None)


@dataclass(frozen=True, slots=True, kw_only=True)
class Background:
    """Read before the decision, as far as its commands need it.

    ``payloads``: arguments of messages by command sequence. ``attribute_types``: of the
    search attributes that the namespace has defined, by name. All but those types is
    immutable or changes only in transitions of this run, which its version guards.
    """

    input: RunInput = _NO_INPUT
    instance: Instance | None = None
    payloads: Mapping[int, Payload | None] = field(default_factory=dict)
    attribute_types: Mapping[str, str] = field(default_factory=dict)


NO_BACKGROUND = Background()

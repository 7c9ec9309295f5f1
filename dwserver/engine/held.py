"""Events that are recorded but have no place in history yet.

They are stored under a negative sequence until they are released: the outcome of a
step that waits for earlier members of its batch (§10), and a message that arrives
while a workflow task is leased (§9.4).
"""

from __future__ import annotations

from dwserver.engine.model import Signal, Step, Update

# Steps and command sequences both count from 1; messages come after all steps.
_MESSAGES = 1 << 40


def of_step(step: Step) -> int:
    """Where the outcome of a step is held."""
    return -step.step


def of_message(message: Signal | Update) -> int:
    """Where the arrival of a message is held."""
    return -(_MESSAGES + message.sequence)

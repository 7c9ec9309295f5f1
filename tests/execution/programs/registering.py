"""Functions that register, and one that cannot."""

from __future__ import annotations

from dwserver.execution.definitions import Registry
from tests.execution.programs.greetings import Greet, make_greeting


def register(registry: Registry) -> None:
    registry.add_workflows(Greet)
    registry.add_activities(make_greeting)


def register_nothing(registry: Registry) -> None:
    """A deployment without anything to run."""


def fail(registry: Registry) -> None:
    raise ConnectionError("the warehouse is closed")


def register_an_object(registry: Registry) -> None:
    registry.add_workflows(Greet())  # type: ignore[arg-type]

"""What a client does to a run, as data. Nothing of an SDK is imported here.

``run_client.py`` performs the steps. Query, Update and Closed give an answer.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, TypeAlias


@dataclass(frozen=True)
class Signal:
    """``times`` signals at once; with more than one each has its index as argument."""

    name: str
    arguments: tuple[Any, ...] = ()
    times: int = 1


@dataclass(frozen=True)
class Query:
    """Answer: the result."""

    name: str
    arguments: tuple[Any, ...] = ()


@dataclass(frozen=True)
class Update:
    """Waits for its completion. Answer: ``[update_status, result]``."""

    name: str
    arguments: tuple[Any, ...] = ()


@dataclass(frozen=True)
class Cancel:
    reason: str


@dataclass(frozen=True)
class Terminate:
    reason: str


@dataclass(frozen=True)
class Recorded:
    """Waits until the history has ``count`` events of the type."""

    event: str
    count: int = 1


@dataclass(frozen=True)
class Marked:
    """Waits for a mark that workflow code or an activity makes."""

    mark: str


@dataclass(frozen=True)
class Mark:
    """Makes a mark for which workflow code or an activity waits."""

    mark: str


@dataclass(frozen=True)
class Closed:
    """Waits for the end of the run. Answer: its status."""


@dataclass(frozen=True)
class OfChild:
    """A step with the child of the run that was started as number ``index``."""

    index: int
    step: Step


Step: TypeAlias = (
    "Signal | Query | Update | Cancel | Terminate | Recorded | Marked | Mark | Closed"
    " | OfChild"
)

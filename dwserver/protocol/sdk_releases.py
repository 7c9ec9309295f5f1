"""What a release of an official SDK cannot do, by the version that it registers with.

Source: ``spec/client-compatibility.md`` §9.2 and R13, ``decisions.md`` 20e. Only for
what the worker protocol version does not tell.
"""

from __future__ import annotations

import re
from typing import Final

from dwserver.engine.words import EventType

_PYTHON_SDK: Final = re.compile(r"durable-workflow-python/(\d+)\.(\d+)\.(\d+)")

# The first release whose replay takes notice of the events.
_FIRST_TO_REPLAY: Final = (
    ((0, 4, 30), frozenset({EventType.ACTIVITY_FAILED, EventType.ACTIVITY_TIMED_OUT})),
    (
        (0, 4, 66),
        frozenset({EventType.CHILD_RUN_CANCELLED, EventType.CHILD_RUN_TERMINATED}),
    ),
)


def unseen_by_replay(sdk_version: str | None) -> frozenset[EventType]:
    """The ends of steps that replay passes over; none for unknown SDKs."""
    match = _PYTHON_SDK.match(sdk_version or "")
    if match is None:
        return frozenset()
    release = tuple(int(number) for number in match.groups())
    return frozenset[EventType]().union(
        *(events for first, events in _FIRST_TO_REPLAY if release < first)
    )

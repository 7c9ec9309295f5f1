"""What the registered SDK version says about replay."""

from __future__ import annotations

import pytest

from dwserver.engine.words import EventType
from dwserver.protocol.sdk_releases import unseen_by_replay

ACTIVITY = {EventType.ACTIVITY_FAILED, EventType.ACTIVITY_TIMED_OUT}
CHILD = {EventType.CHILD_RUN_CANCELLED, EventType.CHILD_RUN_TERMINATED}


@pytest.mark.parametrize(
    ("sdk_version", "expected"),
    [
        ("durable-workflow-python/0.2.0", ACTIVITY | CHILD),
        ("durable-workflow-python/0.4.22", ACTIVITY | CHILD),
        ("durable-workflow-python/0.4.29", ACTIVITY | CHILD),
        ("durable-workflow-python/0.4.30", CHILD),
        ("durable-workflow-python/0.4.65", CHILD),
        ("durable-workflow-python/0.4.66", set()),
        ("durable-workflow-python/0.4.106", set()),
        ("durable-workflow-python/2.0.0rc1", set()),
        ("durable-workflow-python/2.12.0", set()),
        ("durable-workflow-python/unknown", set()),
        ("durable-workflow-php/0.1.0", set()),
        ("", set()),
        (None, set()),
    ],
)
def test_unseen_by_replay(sdk_version: str | None, expected: set[EventType]) -> None:
    assert unseen_by_replay(sdk_version) == expected

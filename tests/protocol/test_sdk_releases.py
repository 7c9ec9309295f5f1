"""What the registered SDK version says about replay."""

from __future__ import annotations

import pytest

from dwserver.protocol.sdk_releases import replays_failed_activities


@pytest.mark.parametrize(
    ("sdk_version", "expected"),
    [
        ("durable-workflow-python/0.2.0", False),
        ("durable-workflow-python/0.4.22", False),
        ("durable-workflow-python/0.4.29", False),
        ("durable-workflow-python/0.4.30", True),
        ("durable-workflow-python/0.4.106", True),
        ("durable-workflow-python/2.0.0rc1", True),
        ("durable-workflow-python/2.12.0", True),
        ("durable-workflow-python/unknown", True),
        ("durable-workflow-php/0.1.0", True),
        ("", True),
        (None, True),
    ],
)
def test_replays_failed_activities(sdk_version: str | None, expected: bool) -> None:
    assert replays_failed_activities(sdk_version) is expected

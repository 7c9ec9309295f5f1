"""How far a rollout is: the first rule that fits."""

from __future__ import annotations

import pytest

from dwserver.engine.routing.rollouts import rollout_status


@pytest.mark.parametrize(
    ("is_draining", "active", "draining", "stale", "status"),
    [
        (False, 2, 0, 1, "active"),
        (True, 1, 0, 0, "active_with_draining"),
        (False, 1, 1, 0, "active_with_draining"),
        (False, 0, 1, 1, "draining"),
        (True, 0, 0, 1, "draining"),
        (True, 0, 0, 0, "draining"),
        (False, 0, 0, 1, "stale_only"),
        (False, 0, 0, 0, "no_workers"),
    ],
)
def test_the_status_of_a_cohort(
    is_draining: bool, active: int, draining: int, stale: int, status: str
) -> None:
    found = rollout_status(
        is_draining=is_draining, active=active, draining=draining, stale=stale
    )
    assert found == status

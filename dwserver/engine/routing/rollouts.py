"""How far the rollout of a build id is (``spec/topology-and-operations.md §5.7``).
Pure."""

from __future__ import annotations

from enum import StrEnum


class RolloutStatus(StrEnum):
    """The order is the one in which operators see cohorts; the words are on the
    wire."""

    ACTIVE = "active"
    ACTIVE_WITH_DRAINING = "active_with_draining"
    DRAINING = "draining"
    STALE_ONLY = "stale_only"
    NO_WORKERS = "no_workers"


RANKS = {status: rank for rank, status in enumerate(RolloutStatus)}


def rollout_status(
    *, is_draining: bool, active: int, draining: int, stale: int
) -> RolloutStatus:
    """``is_draining``: the operator's intent; the others count workers by status."""
    if active and (is_draining or draining):
        return RolloutStatus.ACTIVE_WITH_DRAINING
    if active:
        return RolloutStatus.ACTIVE
    if draining or is_draining:
        return RolloutStatus.DRAINING
    return RolloutStatus.STALE_ONLY if stale else RolloutStatus.NO_WORKERS

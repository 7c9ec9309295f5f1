"""Nothing that was recorded is forgotten."""

from __future__ import annotations

import pytest

from tests.golden.families import FAMILIES
from tests.golden.replaying import exchanges_of

# How many exchanges each family has as it was recorded.
RECORDED = {
    "activity_tasks": 48,
    "activity_timeouts": 14,
    "admission": 12,
    "auth_legacy": 6,
    "auth_none": 5,
    "auth_signature": 9,
    "auth_unconfigured": 4,
    "bridge_adapters": 18,
    "commands": 59,
    "health": 23,
    "history": 19,
    "leases": 25,
    "lifecycle_activity": 14,
    "lifecycle_activity_parallel": 13,
    "lifecycle_activity_retry": 37,
    "lifecycle_child": 48,
    "lifecycle_condition": 11,
    "lifecycle_continue_as_new": 20,
    "lifecycle_markers": 14,
    "lifecycle_simple": 24,
    "lifecycle_timer": 16,
    "namespaces": 35,
    "protocol_errors": 99,
    "queries": 54,
    "schedules": 106,
    "sdk_python_0_2_0": 30,
    "sdk_python_0_3_1": 32,
    "sdk_python_0_4_0": 37,
    "search_attributes": 28,
    "signals": 30,
    "storage": 8,
    "task_queues": 32,
    "system": 25,
    "updates": 46,
    "workers": 39,
    "workflow_tasks": 101,
    "workflows_read": 28,
    "workflows_start": 58,
}


def test_every_exchange_of_every_family_is_there() -> None:
    assert {name: len(exchanges_of(name)) for name in FAMILIES} == RECORDED


@pytest.mark.parametrize("name", FAMILIES)
def test_exchanges_that_are_not_compared_have_a_reason(name: str) -> None:
    family = FAMILIES[name]
    assert not family.left_out.keys() & family.otherwise.keys()
    reasons = [
        *family.left_out.values(),
        *(other.why for other in family.otherwise.values()),
        *(deviation.why for deviation in family.deviations),
    ]
    assert all(len(reason) > 10 for reason in reasons)
    labels = {exchange.label for exchange in exchanges_of(name)}
    assert family.labels() <= labels
    # Most of a family is compared as it is.
    assert len(family.left_out) + len(family.otherwise) <= len(labels) * 2 / 3

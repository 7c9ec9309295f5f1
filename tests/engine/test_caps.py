"""Which caps a queue has (§5.6)."""

from __future__ import annotations

from typing import Any

import pytest

from dwserver.engine.routing.caps import Caps, Usage, caps_for
from dwserver.engine.words import TaskKind

DEFAULTS = Caps(leases=10, dispatches=100)


def caps(
    overrides: dict[str, Any], *, kind: TaskKind = TaskKind.WORKFLOW, queue: str = "q"
) -> Caps:
    return caps_for(DEFAULTS, overrides, namespace="ns", queue=queue, kind=kind)


@pytest.mark.parametrize("key", ["ns:q", "ns:*", "q", "*"])
def test_every_form_of_key_overrides(key: str) -> None:
    found = caps({key: {"workflow_tasks": {"max_active_leases": 3}}})
    assert found == Caps(leases=3, dispatches=100)
    assert found.overridden == {"leases"}
    other_kind = caps(
        {key: {"activity_tasks": {"max_active_leases": 3}}}, kind=TaskKind.WORKFLOW
    )
    assert other_kind == DEFAULTS


def test_the_first_key_with_the_field_counts_field_by_field() -> None:
    found = caps(
        {
            "*": {
                "workflow_tasks": {
                    "max_active_leases": 1,
                    "max_dispatches_per_minute": 2,
                    "max_active_leases_per_namespace": 3,
                    "max_dispatches_per_minute_per_namespace": 4,
                }
            },
            "q": {"workflow_tasks": {"max_dispatches_per_minute": 5}},
            "ns:*": {"workflow_tasks": {"max_active_leases_per_queue": 6}},
            "other:q": {"workflow_tasks": {"max_active_leases": 7}},
        }
    )
    assert found == Caps(
        leases=6, dispatches=5, namespace_leases=3, namespace_dispatches=4
    )


@pytest.mark.parametrize(
    "value", [0, -1, None, "", "many", [], {}, True, float("inf"), float("nan")]
)
def test_what_is_no_positive_number_lifts_a_cap(value: Any) -> None:
    found = caps({"q": {"workflow_tasks": {"max_active_leases": value}}})
    assert found == Caps(dispatches=100)
    # A cap that is lifted comes from nowhere.
    assert found.overridden == set()


def test_a_number_may_be_text() -> None:
    found = caps({"q": {"workflow_tasks": {"max_active_leases": " 4 "}}})
    assert found.leases == 4


@pytest.mark.parametrize("word", [None, 7, [], "queue", {"workflow_tasks": 3}])
def test_overrides_of_another_shape_are_left_out(word: Any) -> None:
    assert caps({"q": word}) == DEFAULTS


def test_groups() -> None:
    budget = {"max_dispatches_per_minute_per_budget_group": 9}
    found = caps({"q": {"workflow_tasks": {"budget_group": " imports ", **budget}}})
    assert (found.group, found.group_dispatches) == ("imports", 9)
    for group in ({}, {"budget_group": " "}, {"budget_group": 7}):
        assert caps({"q": {"workflow_tasks": {**group, **budget}}}) == DEFAULTS


@pytest.mark.parametrize(
    "name",
    [
        "leases",
        "namespace_leases",
        "dispatches",
        "namespace_dispatches",
        "group_dispatches",
    ],
)
def test_a_cap_is_reached_when_it_leaves_no_room(name: str) -> None:
    cap = Caps(**{name: 2})
    assert cap.is_any
    assert not Usage(**{name: 1}).has_reached(cap)
    assert Usage(**{name: 2}).has_reached(cap)
    assert not Usage(**{name: 2}).has_reached(Caps())

"""Which nodes may answer which routes."""

from __future__ import annotations

import pytest

from dwserver.topology.gate import (
    HOSTED_ROUTE_ROLES,
    RouteFamily,
    missing_roles,
    required_for_forwarded,
)
from dwserver.topology.shapes import BUNDLES, ProcessClass, Role, Shape, roles_of


def test_missing_roles_keep_the_order_of_the_requirement() -> None:
    assert missing_roles(HOSTED_ROUTE_ROLES, ()) == HOSTED_ROUTE_ROLES
    assert missing_roles(
        (Role.SCHEDULER, Role.MATCHING, Role.API_INGRESS), (Role.MATCHING,)
    ) == (Role.SCHEDULER, Role.API_INGRESS)


def test_classes_that_answer_hosted_routes_directly() -> None:
    answering = {
        name
        for classes in BUNDLES.values()
        for name, roles in classes.items()
        if not missing_roles(HOSTED_ROUTE_ROLES, roles)
    }
    assert answering == {
        ProcessClass.SERVER_HTTP_NODE,
        ProcessClass.CONTROL_PLANE_NODE,
    }


def accepts(process_class: ProcessClass, family: RouteFamily) -> bool:
    roles = roles_of(Shape.SPLIT_CONTROL_EXECUTION, process_class)
    return not missing_roles(required_for_forwarded(family, roles), roles)


@pytest.mark.parametrize(
    ("process_class", "families"),
    [
        (ProcessClass.CONTROL_PLANE_NODE, set(RouteFamily)),
        (ProcessClass.MATCHING_NODE, {RouteFamily.WORKER}),
        (ProcessClass.HISTORY_PROJECTION_NODE, {RouteFamily.HISTORY}),
        (ProcessClass.INGRESS_NODE, set()),
        (ProcessClass.SCHEDULER_NODE, set()),
        (ProcessClass.EXECUTION_NODE, set()),
    ],
)
def test_forwarded_requests(
    process_class: ProcessClass, families: set[RouteFamily]
) -> None:
    accepted = {family for family in RouteFamily if accepts(process_class, family)}
    assert accepted == families


def test_a_node_that_cannot_serve_lacks_the_preferred_role() -> None:
    roles = (Role.SCHEDULER,)
    required = required_for_forwarded(RouteFamily.WORKER, roles)
    assert missing_roles(required, roles) == (Role.MATCHING,)


def test_the_fallback_is_asked_for_only_where_it_is_hosted() -> None:
    control = (Role.API_INGRESS, Role.CONTROL_PLANE)
    assert required_for_forwarded(RouteFamily.HISTORY, control) == (Role.CONTROL_PLANE,)
    both = (Role.CONTROL_PLANE, Role.HISTORY_PROJECTION)
    assert required_for_forwarded(RouteFamily.HISTORY, both) == (
        Role.HISTORY_PROJECTION,
    )

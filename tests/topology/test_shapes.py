"""Shapes, bundles and the selection of a node's place."""

from __future__ import annotations

import pytest

from dwserver.topology.selection import SelectedPart, SelectionWarning, select_topology
from dwserver.topology.shapes import (
    BUNDLES,
    DEFAULT_CLASSES,
    ProcessClass,
    Role,
    Shape,
    roles_of,
)


@pytest.mark.parametrize("shape", Shape)
def test_every_shape_hosts_what_it_needs(shape: Shape) -> None:
    hosted = {role for roles in BUNDLES[shape].values() for role in roles}
    # The embedded process is called in process: it has no HTTP edge.
    needed = set(Role) - ({Role.API_INGRESS} if shape is Shape.EMBEDDED else set())
    assert hosted == needed
    assert DEFAULT_CLASSES[shape] in BUNDLES[shape]


def test_every_class_belongs_to_a_shape() -> None:
    assert {name for classes in BUNDLES.values() for name in classes} == set(
        ProcessClass
    )


def test_projections_can_have_a_class_of_their_own() -> None:
    roles = roles_of(
        Shape.SPLIT_CONTROL_EXECUTION, ProcessClass.HISTORY_PROJECTION_NODE
    )
    assert roles == (Role.HISTORY_PROJECTION,)


def test_a_class_of_another_shape_has_no_roles() -> None:
    with pytest.raises(KeyError):
        roles_of(Shape.EMBEDDED, ProcessClass.MATCHING_NODE)


@pytest.mark.parametrize(
    ("shape", "process_class", "expected"),
    [
        (None, None, (Shape.STANDALONE_SERVER, ProcessClass.SERVER_HTTP_NODE)),
        ("", " ", (Shape.STANDALONE_SERVER, ProcessClass.SERVER_HTTP_NODE)),
        ("embedded", None, (Shape.EMBEDDED, ProcessClass.APPLICATION_PROCESS)),
        (
            "split_control_execution",
            None,
            (Shape.SPLIT_CONTROL_EXECUTION, ProcessClass.CONTROL_PLANE_NODE),
        ),
        (
            None,
            "scheduler_node",
            (Shape.STANDALONE_SERVER, ProcessClass.SCHEDULER_NODE),
        ),
        (
            " split_control_execution ",
            "matching_node",
            (Shape.SPLIT_CONTROL_EXECUTION, ProcessClass.MATCHING_NODE),
        ),
        (
            "Split_Control_Execution",
            "INGRESS_NODE",
            (Shape.SPLIT_CONTROL_EXECUTION, ProcessClass.INGRESS_NODE),
        ),
    ],
)
def test_valid_words(
    shape: str | None,
    process_class: str | None,
    expected: tuple[Shape, ProcessClass],
) -> None:
    selection = select_topology(shape, process_class)
    assert (selection.shape, selection.process_class) == expected
    assert selection.warnings == ()
    assert selection.roles == roles_of(*expected)


def test_an_unknown_shape_falls_back_with_a_warning() -> None:
    selection = select_topology("cloud", "worker_node")
    assert selection.shape is Shape.STANDALONE_SERVER
    assert selection.process_class is ProcessClass.WORKER_NODE
    assert selection.warnings == (
        SelectionWarning(SelectedPart.SHAPE, "cloud", "standalone_server"),
    )


@pytest.mark.parametrize(
    ("shape", "word", "used"),
    [
        ("standalone_server", "matching_node", "server_http_node"),
        ("split_control_execution", "server_http_node", "control_plane_node"),
        ("embedded", "nonsense", "application_process"),
    ],
)
def test_a_class_of_another_shape_falls_back(shape: str, word: str, used: str) -> None:
    selection = select_topology(shape, word)
    assert selection.process_class.value == used
    assert selection.warnings == (
        SelectionWarning(SelectedPart.PROCESS_CLASS, word, used),
    )


def test_both_words_may_be_wrong() -> None:
    selection = select_topology("x", "y")
    assert [warning.part for warning in selection.warnings] == list(SelectedPart)

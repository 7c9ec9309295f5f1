"""What each role adds to a process, and what each process class is made of."""

from __future__ import annotations

from collections.abc import Mapping

import pytest

from dwserver.config.settings import Settings, load_settings
from dwserver.roles.boot import needs
from dwserver.roles.compose import compose
from dwserver.roles.loops import WhenPrepared
from dwserver.roles.plug import Need
from dwserver.roles.table import PLUGS
from dwserver.runtime.metrics import Metrics
from dwserver.runtime.supervisor import Supervisor
from dwserver.topology.gate import SERVING_ROLES, RouteFamily
from dwserver.topology.selection import select_topology
from dwserver.topology.shapes import BUNDLES, ProcessClass, Role, Shape

CLASSES = [(shape, name) for shape, classes in BUNDLES.items() for name in classes]

POLLING = {"matching-sweep", "matching-upkeep", "worker-liveness", "worker-expiry"}
CONTROL = {
    "timers",
    "expired-leases",
    "deadlines",
    "outbox",
    "retention",
    "schedule-retention",
    *POLLING,
}
MATCHING = {"timers", "expired-leases", *POLLING}

EXECUTING = {ProcessClass.WORKER_NODE, ProcessClass.EXECUTION_NODE}
LOOPS: Mapping[ProcessClass, set[str]] = {
    ProcessClass.APPLICATION_PROCESS: CONTROL,
    ProcessClass.SERVER_HTTP_NODE: CONTROL,
    ProcessClass.CONTROL_PLANE_NODE: CONTROL,
    ProcessClass.MATCHING_NODE: MATCHING,
    ProcessClass.INGRESS_NODE: set(),
    ProcessClass.HISTORY_PROJECTION_NODE: set(),
    ProcessClass.SCHEDULER_NODE: set(),
    ProcessClass.WORKER_NODE: set(),
    ProcessClass.EXECUTION_NODE: set(),
}


def settings_of(shape: Shape, process_class: ProcessClass) -> Settings:
    return load_settings(
        {
            "DW_DATABASE_URL": "postgresql://dw@localhost/unused",
            "DW_SERVER_TOPOLOGY_SHAPE": shape.value,
            "DW_SERVER_PROCESS_CLASS": process_class.value,
        }
    )


def test_every_role_has_a_plug() -> None:
    assert {role: plug.role for role, plug in PLUGS.items()} == {r: r for r in Role}


def test_roles_mount_the_families_that_the_gate_lets_them_answer() -> None:
    for role, plug in PLUGS.items():
        served = {family for family in RouteFamily if role in SERVING_ROLES[family]}
        assert set(plug.mounts) == served, role


@pytest.mark.parametrize(("shape", "process_class"), CLASSES)
def test_needs_of_a_class(shape: Shape, process_class: ProcessClass) -> None:
    selected = select_topology(shape, process_class)
    every = frozenset(Need)
    expected = {
        ProcessClass.APPLICATION_PROCESS: frozenset[Need](),
        ProcessClass.SERVER_HTTP_NODE: frozenset[Need](),
        ProcessClass.INGRESS_NODE: every - {Need.SHARED_COORDINATION},
        ProcessClass.CONTROL_PLANE_NODE: every,
        ProcessClass.MATCHING_NODE: every,
        ProcessClass.HISTORY_PROJECTION_NODE: every - {Need.SHARED_COORDINATION},
    }.get(process_class, frozenset({Need.SHARED_DATABASE}))
    assert needs(selected) == expected


def test_nodes_that_run_foreign_code_need_not_know_the_key() -> None:
    """Who knows it may speak for everybody."""
    assert Need.SERVER_KEY not in PLUGS[Role.EXECUTION_PLANE].requires


@pytest.mark.parametrize(("shape", "process_class"), CLASSES)
async def test_what_a_class_runs(shape: Shape, process_class: ProcessClass) -> None:
    metrics, supervisor = Metrics(), Supervisor()
    services = compose(settings_of(shape, process_class), supervisor, metrics)
    order = [service.name for service in services]
    # Whoever is listened to has reached the database; the row in the table of nodes is
    # there only while the listener is.
    expected = ["database", "loops", "http_server", "membership"]
    if process_class in EXECUTING:
        expected.append("execution_plane")
    if Role.SCHEDULER in BUNDLES[shape][process_class]:
        expected.append("leaders")
    assert order == expected
    loops, membership, *_ = (s for s in services if isinstance(s, WhenPrepared))
    assert [each.name for each in membership.services] == ["membership"]
    names = [each.name for each in loops.services]
    assert len(names) == len(set(names))
    assert set(names) == LOOPS[process_class]


@pytest.mark.parametrize("env", [{}, {"DW_SCHEDULER_IN_PROCESS": "1"}])
async def test_schedules_fire_where_nobody_else_can_fire_them(
    env: Mapping[str, str],
) -> None:
    url = "postgresql://dw@localhost/unused" if env else "sqlite:///unused.sqlite"
    settings = load_settings({"DW_DATABASE_URL": url, **env})
    services = compose(settings, Supervisor(), Metrics())
    assert services[-1].name == "leaders"

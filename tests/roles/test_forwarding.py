"""Which processes pass requests on, and what runs for it."""

from __future__ import annotations

import asyncio

import pytest

from dwserver.config.settings import Settings, load_settings
from dwserver.http.forwarding.breaker import BreakerState
from dwserver.roles.compose import compose
from dwserver.roles.core import Core, build_core
from dwserver.roles.forwarding import ForwardingService, build_forwarder
from dwserver.roles.loops import WhenPrepared
from dwserver.runtime.clock import SystemClock
from dwserver.runtime.ids import SequentialIds
from dwserver.runtime.metrics import Metrics
from dwserver.runtime.supervisor import Supervisor
from dwserver.store.opening import open_store
from dwserver.topology.shapes import BUNDLES, ProcessClass, Shape

URL = "postgresql://dw@localhost/unused"
CLASSES = [(shape, name) for shape, classes in BUNDLES.items() for name in classes]
FORWARDING = {
    (Shape.SPLIT_CONTROL_EXECUTION, ProcessClass.INGRESS_NODE),
    # Polls go to matching nodes while there are any.
    (Shape.SPLIT_CONTROL_EXECUTION, ProcessClass.CONTROL_PLANE_NODE),
}


def settings_of(shape: Shape, process_class: ProcessClass, **more: str) -> Settings:
    return load_settings(
        {
            "DW_DATABASE_URL": URL,
            "DW_SERVER_KEY": "a key of all nodes",
            "DW_SERVER_TOPOLOGY_SHAPE": shape.value,
            "DW_SERVER_PROCESS_CLASS": process_class.value,
            **more,
        }
    )


def core_of(settings: Settings, metrics: Metrics) -> Core:
    return build_core(
        settings,
        store=open_store(URL),
        clock=SystemClock(),
        ids=SequentialIds(),
        metrics=metrics,
        supervisor=Supervisor(),
    )


@pytest.mark.parametrize(("shape", "process_class"), CLASSES)
async def test_who_passes_requests_on(
    shape: Shape, process_class: ProcessClass
) -> None:
    settings = settings_of(shape, process_class)
    services = compose(settings, Supervisor(), Metrics())
    running = {
        each.name
        for service in services
        if isinstance(service, WhenPrepared)
        for each in service.services
    }
    assert ("forwarding" in running) is ((shape, process_class) in FORWARDING)


@pytest.mark.parametrize(
    "more", [{"DW_INGRESS_FORWARDING": "false"}, {"DW_SERVER_KEY": ""}]
)
async def test_forwarding_can_be_off(more: dict[str, str]) -> None:
    settings = settings_of(
        Shape.SPLIT_CONTROL_EXECUTION, ProcessClass.INGRESS_NODE, **more
    )
    metrics = Metrics()
    core = core_of(settings, metrics)
    assert build_forwarder(settings, core, clock=SystemClock(), metrics=metrics) is None


async def test_the_service_reports_connections_and_breakers() -> None:
    settings = settings_of(Shape.SPLIT_CONTROL_EXECUTION, ProcessClass.INGRESS_NODE)
    metrics, supervisor = Metrics(), Supervisor()
    core = core_of(settings, metrics)
    forwarder = build_forwarder(settings, core, clock=SystemClock(), metrics=metrics)
    assert forwarder is not None
    service = ForwardingService(forwarder, supervisor, metrics=metrics)
    await service.start()
    await asyncio.sleep(0)
    await service.drain()
    await service.stop()
    text = metrics.exposition().decode()
    assert 'dw_peer_connections{state="busy"} 0.0' in text
    for state in BreakerState:
        assert f'dw_peer_breakers{{state="{state.value}"}} 0.0' in text

"""What a deployment's environment means to a node."""

from __future__ import annotations

from collections.abc import Mapping

from dwserver.config.audit import audit_environment
from dwserver.config.contract import BY_NAME, INFRASTRUCTURE
from dwserver.config.settings import Settings, load_settings
from dwserver.http.discovery.handlers import Discovery, discovery_routes
from dwserver.topology.selection import Selection, select_topology

SECRETS = {name for name, row in BY_NAME.items() if row.is_secret} | {
    row.name for row in INFRASTRUCTURE if row.is_secret
}
PROBES = {
    route.path: route
    for route in discovery_routes(Discovery.health, Discovery.ready, Discovery.info)
    if route.allowed_roles is None
}
"""Routes that answer anyone, by path."""


def settings_of(environment: Mapping[str, str]) -> Settings:
    """Settings without a warning; AssertionError for any name or value that a strict
    boot would not take."""
    report = audit_environment(environment)
    assert report.is_acceptable(strict=True), report.messages()
    settings = load_settings(environment)
    assert settings.warnings == ()
    return settings


def selection_of(settings: Settings) -> Selection:
    """Shape and class, as configured and not by default."""
    topology = settings.topology
    assert topology.process_class is not None
    selected = select_topology(topology.shape, topology.process_class)
    assert selected.warnings == ()
    return selected

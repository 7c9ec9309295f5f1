"""Checks before a node starts (``spec/topology-and-operations.md §7.7, §9.4``)."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from types import MappingProxyType
from typing import Final

import structlog

from dwserver.config.audit import AuditReport
from dwserver.config.settings import Settings
from dwserver.http.system.backend_views import Component, Issue, Severity
from dwserver.protocol.versions import SUPPORTED_WORKER_VERSIONS
from dwserver.roles.errors import BootError
from dwserver.roles.plug import Need
from dwserver.roles.table import PLUGS
from dwserver.topology.selection import Selection, select_topology
from dwserver.topology.shapes import BUNDLES, ProcessClass

_log = structlog.stdlib.get_logger(__name__)

# Classes that hold everything a client needs: a deployment may be one such process.
_WHOLE: Final = frozenset(
    {ProcessClass.APPLICATION_PROCESS, ProcessClass.SERVER_HTTP_NODE}
)


def admit(settings: Settings, audit: AuditReport) -> None:
    """Log what is odd about the configuration; raise BootError for what cannot work."""
    for message in audit.messages():
        getattr(_log, message.severity)(message.event, **message.fields)
    for warning in settings.warnings:
        _log.warning("setting_replaced", problem=str(warning))
    if not audit.is_acceptable(strict=settings.boot.env_audit_strict):
        raise BootError(
            "the environment holds unknown or legacy DW_* names and "
            "DW_ENV_AUDIT_STRICT is on; `dwserver env-audit` lists them"
        )
    _warn_of_replaced_words(_selected(settings))
    for issue in boot_issues(settings):
        if issue.is_error:
            raise BootError(issue.message)
        _log.warning(issue.code, problem=issue.message)


def boot_issues(settings: Settings) -> Iterator[Issue]:
    """What keeps a node of these settings from booting (an error) or from working as
    well as it could, in the order in which a boot comes to it."""
    version = settings.worker_plane.protocol_version
    if version is not None and version not in SUPPORTED_WORKER_VERSIONS:
        yield Issue(
            Component.CONFIGURATION,
            Severity.ERROR,
            "worker_protocol_version_unsupported",
            f"DW_WORKER_PROTOCOL_VERSION {version} is not supported: choose 1.0 to "
            "1.20",
        )
    needed = needs(_selected(settings), is_one_of_several=settings.topology.multi_node)
    for need in Need:
        if need in needed and (found := _CHECKS[need](settings)) is not None:
            yield found


def _selected(settings: Settings) -> Selection:
    return select_topology(settings.topology.shape, settings.topology.process_class)


def needs(selected: Selection, *, is_one_of_several: bool = False) -> frozenset[Need]:
    """What the node cannot do without. A node that may be the only one needs nothing,
    unless the configuration says that it is not."""
    if selected.process_class not in _WHOLE:
        plugs = (PLUGS[role] for role in selected.roles)
        return frozenset[Need]().union(*(plug.requires for plug in plugs))
    if is_one_of_several:
        # It answers everything itself and passes nothing on.
        return frozenset({Need.SHARED_COORDINATION})
    return frozenset()


def _check_database(settings: Settings) -> Issue | None:
    if settings.database.sqlite_path is None:
        return None
    return Issue(
        Component.DATABASE,
        Severity.ERROR,
        "database_not_shared",
        "this node needs PostgreSQL: several processes cannot share an SQLite "
        "file; set DW_DATABASE_URL=postgresql://…",
    )


def _check_coordination(settings: Settings) -> Issue | None:
    """Without it tasks are found later, and queries reach no worker of another node."""
    redis = settings.redis
    if redis.url is not None or not redis.validate_at_boot:
        return None
    code, remedy = "coordination_not_shared", "set DW_REDIS_URL=redis://…"
    if redis.validation_mode == "fail":
        why = (
            "several nodes need Redis for shared coordination and "
            "DW_V2_CACHE_VALIDATION_MODE is fail"
        )
        return Issue(Component.CACHE, Severity.ERROR, code, f"{why}; {remedy}")
    if redis.validation_mode == "warn":
        effect = "nodes find each other's tasks late and cannot pass on queries"
        return Issue(Component.CACHE, Severity.WARNING, code, f"{effect}; {remedy}")
    return None


def _check_key(settings: Settings) -> Issue | None:
    if settings.server.server_key:
        return None
    return Issue(
        Component.TOPOLOGY,
        Severity.ERROR,
        "server_key_missing",
        "this node exchanges requests with other nodes and must sign them: set "
        "DW_SERVER_KEY to the same long random text on every node",
    )


_CHECKS: Final[Mapping[Need, Callable[[Settings], Issue | None]]] = MappingProxyType(
    {
        Need.SHARED_DATABASE: _check_database,
        Need.SHARED_COORDINATION: _check_coordination,
        Need.SERVER_KEY: _check_key,
    }
)


def _warn_of_replaced_words(selected: Selection) -> None:
    choices = {
        "shape": [shape.value for shape in BUNDLES],
        "process_class": [name.value for name in BUNDLES[selected.shape]],
    }
    for warning in selected.warnings:
        _log.warning(
            "topology_word_replaced",
            part=warning.part.value,
            configured=warning.configured,
            used=warning.used,
            choices=choices[warning.part],
        )

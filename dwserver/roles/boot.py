"""Checks before a node starts (``spec/topology-and-operations.md §7.7, §9.4``)."""

from __future__ import annotations

import structlog

from dwserver.config.audit import AuditReport
from dwserver.config.settings import Settings
from dwserver.protocol.versions import SUPPORTED_WORKER_VERSIONS
from dwserver.roles.coordination import SPLIT_SHAPE, admit_coordination
from dwserver.roles.errors import BootError
from dwserver.topology.selection import select_topology

_log = structlog.stdlib.get_logger(__name__)


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
    version = settings.worker_plane.protocol_version
    if version is not None and version not in SUPPORTED_WORKER_VERSIONS:
        raise BootError(
            f"DW_WORKER_PROTOCOL_VERSION {version} is not supported: choose 1.0 to 1.20"
        )
    selected = select_topology(settings.topology.shape, settings.topology.process_class)
    if selected.shape == SPLIT_SHAPE and settings.database.sqlite_path is not None:
        raise BootError(
            "the split topology needs PostgreSQL: several processes cannot share an "
            "SQLite file; set DW_DATABASE_URL=postgresql://…"
        )
    admit_coordination(settings)

"""Typed settings of one process, built from its environment.

Only roles/ and cli/ read these; everything below them is passed plain values.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from dwserver.config.contract import CONTRACT
from dwserver.config.errors import Problem
from dwserver.config.groups import (
    AdmissionSettings,
    AttributionSettings,
    AuthSettings,
    BootSettings,
    CompatibilitySettings,
    DatabaseSettings,
    EngineSettings,
    ExecutionSettings,
    HistorySettings,
    HttpSettings,
    LoggingSettings,
    MetricsSettings,
    PublishedLimits,
    QueryTaskSettings,
    RedisSettings,
    RepairSettings,
    SchedulerSettings,
    ServerSettings,
    SettingsGroup,
    ShutdownSettings,
    StorageSettings,
    StructuralLimits,
    TopologySettings,
    WorkerPlaneSettings,
)
from dwserver.config.resolve import Resolver


@dataclass(frozen=True, slots=True, kw_only=True)
class EngineLimits:
    """What a run is held to: the smaller of both limit tables; 0 is off."""

    pending_activities: int
    pending_children: int
    pending_timers: int
    pending_signals: int
    pending_updates: int
    command_batch_size: int
    payload_size_bytes: int
    memo_size_bytes: int
    search_attribute_size_bytes: int
    search_attribute_count: int
    search_attribute_key_length: int
    search_attribute_value_bytes: int
    operation_name_length: int
    history_transaction_size: int
    history_events: int
    warning_threshold_percent: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """Everything that the environment decides.

    `warnings` are values that were replaced or left to a runtime check.
    """

    server: ServerSettings
    topology: TopologySettings
    execution: ExecutionSettings
    http: HttpSettings
    database: DatabaseSettings
    redis: RedisSettings
    auth: AuthSettings
    attribution: AttributionSettings
    worker_plane: WorkerPlaneSettings
    query_tasks: QueryTaskSettings
    admission: AdmissionSettings
    published_limits: PublishedLimits
    structural_limits: StructuralLimits
    storage: StorageSettings
    history: HistorySettings
    compatibility: CompatibilitySettings
    repair: RepairSettings
    scheduler: SchedulerSettings
    engine: EngineSettings
    boot: BootSettings
    shutdown: ShutdownSettings
    logging: LoggingSettings
    metrics: MetricsSettings
    warnings: tuple[Problem, ...] = ()

    @property
    def engine_limits(self) -> EngineLimits:
        """The limits that bite (spec/engine.md §12: the smaller one counts)."""
        published, structural = self.published_limits, self.structural_limits
        return EngineLimits(
            pending_activities=_smaller(
                published.max_pending_activities, structural.pending_activities
            ),
            pending_children=_smaller(
                published.max_pending_children, structural.pending_children
            ),
            pending_timers=structural.pending_timers,
            pending_signals=structural.pending_signals,
            pending_updates=structural.pending_updates,
            command_batch_size=structural.command_batch_size,
            payload_size_bytes=_smaller(
                published.max_payload_bytes, structural.payload_size_bytes
            ),
            memo_size_bytes=_smaller(
                published.max_memo_bytes, structural.memo_size_bytes
            ),
            search_attribute_size_bytes=structural.search_attribute_size_bytes,
            search_attribute_count=published.max_search_attributes,
            search_attribute_key_length=published.max_search_attribute_key_length,
            search_attribute_value_bytes=published.max_search_attribute_value_bytes,
            operation_name_length=published.max_operation_name_length,
            history_transaction_size=structural.history_transaction_size,
            history_events=self.history.max_events,
            warning_threshold_percent=structural.warning_threshold_percent,
        )


_GROUPS: tuple[type[SettingsGroup], ...] = (
    ServerSettings,
    TopologySettings,
    ExecutionSettings,
    HttpSettings,
    DatabaseSettings,
    RedisSettings,
    AuthSettings,
    AttributionSettings,
    WorkerPlaneSettings,
    QueryTaskSettings,
    AdmissionSettings,
    PublishedLimits,
    StructuralLimits,
    StorageSettings,
    HistorySettings,
    CompatibilitySettings,
    RepairSettings,
    SchedulerSettings,
    EngineSettings,
    BootSettings,
    ShutdownSettings,
    LoggingSettings,
    MetricsSettings,
)


def load_settings(environ: Mapping[str, str]) -> Settings:
    """Return the settings of an environment.

    Raises ConfigurationError that names every variable that cannot be used.
    """
    resolver = Resolver(environ)
    values = resolver.resolve_all()
    arguments: dict[str, dict[str, Any]] = defaultdict(dict)
    for variable in CONTRACT:
        if variable.setting is not None:
            group, _, field = variable.setting.partition(".")
            arguments[group][field] = values[variable.name]
    app_version = environ.get("APP_VERSION", "").strip()
    arguments["server"]["app_version"] = app_version or None
    groups: dict[str, Any] = {
        group.group_name: group(**arguments[group.group_name]) for group in _GROUPS
    }
    return Settings(**groups, warnings=tuple(resolver.warnings))


def _smaller(first: int, second: int) -> int:
    """The smaller of two limits of which 0 is no limit."""
    return min(first, second) if first and second else first or second

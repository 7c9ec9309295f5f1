"""The groups of settings, one frozen record per consumer.

Field names are bound to variables by `Variable.setting`; units are in the names.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any

from dwserver.config.connection_urls import sqlite_path
from dwserver.config.contract import CONTRACT

_SECRET_SETTINGS = frozenset(
    variable.setting for variable in CONTRACT if variable.is_secret
)


class SettingsGroup:
    """A group whose repr shows no secret."""

    __slots__ = ()
    group_name = ""

    def __repr__(self) -> str:
        shown = (
            f"{field.name}={self._shown(field.name)}"
            for field in fields(self)  # type: ignore[arg-type]
        )
        return f"{type(self).__name__}({', '.join(shown)})"

    def _shown(self, name: str) -> str:
        value = getattr(self, name)
        is_secret = f"{self.group_name}.{name}" in _SECRET_SETTINGS
        return "<secret>" if is_secret and value is not None else repr(value)


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class ServerSettings(SettingsGroup):
    """Identity of this process. `app_version` is the published build version."""

    group_name = "server"
    mode: str
    server_id: str
    server_key: str | None
    default_namespace: str
    expose_package_provenance: bool
    package_provenance_path: str
    app_version: str | None


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class TopologySettings(SettingsGroup):
    """Place in the topology; `process_class` None is the shape's default."""

    group_name = "topology"
    shape: str
    process_class: str | None
    ingress_forwarding: bool
    peer_connections: int
    internal_address: str | None
    heartbeat_seconds: float
    task_dispatch_mode: str
    matching_queue_wake: bool
    multi_node: bool


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class ExecutionSettings(SettingsGroup):
    """The workers of an execution node."""

    group_name = "execution"
    modules: tuple[str, ...]
    server_url: str | None
    token: str | None
    namespace: str
    task_queues: tuple[str, ...]
    build_id: str | None
    max_workflow_tasks: int
    max_activity_tasks: int


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class HttpSettings(SettingsGroup):
    """The listener of the API."""

    group_name = "http"
    host: str
    port: int
    reuse_port: bool
    internal_port: int | None
    compression_enabled: bool
    max_import_bytes: int


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class DatabaseSettings(SettingsGroup):
    """Where durable state lives; `url` is `sqlite:///…` or `postgresql://…`."""

    group_name = "database"
    url: str
    pool_size: int
    writers: int
    statement_cache: int
    command_timeout_seconds: float

    @property
    def sqlite_path(self) -> str | None:
        """The SQLite file, or None on PostgreSQL."""
        return sqlite_path(self.url)


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class RedisSettings(SettingsGroup):
    """Shared coordination; `url` None keeps it in this process."""

    group_name = "redis"
    url: str | None
    validate_at_boot: bool
    validation_mode: str


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class AuthSettings(SettingsGroup):
    """Credentials. `driver` may be unknown: then every request is refused."""

    group_name = "auth"
    driver: str
    provider: str | None
    shared_token: str | None
    worker_token: str | None
    operator_token: str | None
    admin_token: str | None
    shared_signature_key: str | None
    worker_signature_key: str | None
    operator_signature_key: str | None
    admin_signature_key: str | None
    accepts_shared_credential: bool


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class AttributionSettings(SettingsGroup):
    """Whether and where a gateway says who the caller is."""

    group_name = "attribution"
    trusts_forwarded_headers: bool
    caller_type_header: str
    caller_label_header: str
    auth_status_header: str
    auth_method_header: str


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class WorkerPlaneSettings(SettingsGroup):
    """Polls and leases; `protocol_version` None is the newest of this build."""

    group_name = "worker_plane"
    protocol_version: str | None
    poll_timeout_seconds: int
    poll_interval_ms: int
    wake_signal_ttl_seconds: int
    workflow_task_lease_seconds: int
    activity_task_lease_seconds: int
    stale_after_seconds: int


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class QueryTaskSettings(SettingsGroup):
    """Ephemeral query tasks."""

    group_name = "query_tasks"
    timeout_seconds: int
    lease_seconds: int
    ttl_seconds: int
    max_pending_per_queue: int
    poll_timeout_seconds: int


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class AdmissionSettings(SettingsGroup):
    """Server-side caps; None is no cap. `overrides` is the parsed JSON object."""

    group_name = "admission"
    workflow_max_active_leases_per_queue: int | None
    workflow_max_active_leases_per_namespace: int | None
    workflow_max_dispatches_per_minute: int | None
    workflow_max_dispatches_per_minute_per_namespace: int | None
    activity_max_active_leases_per_queue: int | None
    activity_max_active_leases_per_namespace: int | None
    activity_max_dispatches_per_minute: int | None
    activity_max_dispatches_per_minute_per_namespace: int | None
    overrides: Mapping[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class PublishedLimits(SettingsGroup):
    """`limits` of cluster info (spec/topology-and-operations.md §1.5)."""

    group_name = "published_limits"
    max_payload_bytes: int
    max_memo_bytes: int
    max_search_attributes: int
    max_search_attribute_key_length: int
    max_search_attribute_value_bytes: int
    max_operation_name_length: int
    max_pending_activities: int
    max_pending_children: int


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class StructuralLimits(SettingsGroup):
    """`structural_limits` (§1.6); 0 switches a limit off."""

    group_name = "structural_limits"
    pending_activities: int
    pending_children: int
    pending_timers: int
    pending_signals: int
    pending_updates: int
    command_batch_size: int
    payload_size_bytes: int
    memo_size_bytes: int
    search_attribute_size_bytes: int
    history_transaction_size: int
    warning_threshold_percent: int


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class StorageSettings(SettingsGroup):
    """External payload storage; `credentials` is the parsed JSON object."""

    group_name = "storage"
    local_root: str
    endpoints: tuple[str, ...]
    credentials: Mapping[str, Any]
    timeout_seconds: float
    max_payload_bytes: int


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class HistorySettings(SettingsGroup):
    """Length, retention, paging and export of histories."""

    group_name = "history"
    max_events: int
    retention_days: int
    page_size_default: int
    page_size_max: int
    continue_as_new_event_threshold: int
    continue_as_new_size_bytes_threshold: int
    continue_as_new_fan_out_threshold: int
    event_warning_threshold: int
    size_bytes_warning_threshold: int
    fan_out_warning_threshold: int
    export_signing_key: str | None
    export_signing_key_id: str | None


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class CompatibilitySettings(SettingsGroup):
    """Build markers and rollout posture."""

    group_name = "compatibility"
    current: str | None
    namespace: str | None
    heartbeat_ttl_seconds: int
    pins_fingerprint: bool
    fleet_validation_mode: str


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class RepairSettings(SettingsGroup):
    """Re-publishing of stuck tasks and recovery of expired leases."""

    group_name = "repair"
    redispatch_after_seconds: int
    loop_throttle_seconds: int
    scan_limit: int
    failure_backoff_max_seconds: int


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class SchedulerSettings(SettingsGroup):
    """Who leads the schedulers and how it fires schedules."""

    group_name = "scheduler"
    in_process: bool
    lease_seconds: int
    tick_ms: int
    batch_size: int


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class EngineSettings(SettingsGroup):
    """Switches of the engine, waiting for updates, and cache sizes (0 is off)."""

    group_name = "engine"
    buffer_messages_while_leased: bool
    replay_command_dedup: bool
    parallel_fail_fast: bool
    run_cache_size: int
    history_cache_bytes: int
    update_wait_timeout_seconds: int
    update_wait_poll_interval_ms: int
    configured_codec: str


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class BootSettings(SettingsGroup):
    """Checks and retries before the process serves."""

    group_name = "boot"
    env_audit_strict: bool
    bootstrap_retries: int
    bootstrap_delay_seconds: float


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class ShutdownSettings(SettingsGroup):
    """How long stopping may take, first unready, then finishing."""

    group_name = "shutdown"
    drain_seconds: float
    timeout_seconds: float


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class LoggingSettings(SettingsGroup):
    """`level` is debug, info, warning or error; `format` json or console."""

    group_name = "logging"
    level: str
    format: str


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class MetricsSettings(SettingsGroup):
    """The Prometheus listener; port 0 is off."""

    group_name = "metrics"
    host: str
    port: int
    workflow_task_failure_type_limit: int

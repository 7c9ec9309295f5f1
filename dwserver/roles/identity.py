"""What this process is and what it can do, from its settings."""

from __future__ import annotations

from dwserver import __version__
from dwserver.config.settings import Settings
from dwserver.http.attribution import Attribution, ForwardedHeaders
from dwserver.http.discovery.cluster_info import ServerFacts
from dwserver.http.node import NodeFacts
from dwserver.protocol.capabilities import Capability, WorkingFeatures
from dwserver.protocol.commands import WORKING_COMMANDS
from dwserver.protocol.manifests.limits import Limits, StructuralLimits
from dwserver.protocol.manifests.server_features import ServerFeature
from dwserver.protocol.versions import (
    DEFAULT_WORKER_VERSION,
    SUPPORTED_WORKER_VERSIONS,
    WorkerVersion,
)
from dwserver.roles.provenance import package_provenance
from dwserver.topology.identity import (
    MatchingSettings,
    NodeIdentity,
    ServerMode,
    TaskDispatchMode,
)
from dwserver.topology.selection import select_topology

# Advertised because they work; later slices add to both sets.
WORKER_CAPABILITIES = frozenset(
    {
        Capability.POLL_REQUEST_IDEMPOTENCY,
        Capability.POLL_STATUS,
        Capability.QUERY_TASKS,
        Capability.ACTIVITY_RETRY_POLICY,
        Capability.CHILD_WORKFLOW_RETRY_POLICY,
        Capability.CHILD_WORKFLOW_TIMEOUTS,
        Capability.PARENT_CLOSE_POLICY,
        Capability.NON_RETRYABLE_FAILURES,
    }
)
SERVER_FEATURES = frozenset(
    {
        ServerFeature.WORKFLOW_TASKS,
        ServerFeature.ACTIVITY_TASKS,
        ServerFeature.SIGNALS,
        ServerFeature.QUERIES,
        ServerFeature.UPDATES,
        ServerFeature.SEARCH_ATTRIBUTES,
        ServerFeature.SCHEDULES,
        ServerFeature.SCHEDULE_JITTER,
        ServerFeature.SCHEDULE_MAX_RUNS,
        ServerFeature.HISTORY_EXPORT,
        ServerFeature.CONTINUE_AS_NEW,
        ServerFeature.CHILD_WORKFLOWS,
        ServerFeature.ACTIVITY_TIMEOUTS,
        ServerFeature.ACTIVITY_RETRY_POLICY,
        ServerFeature.CHILD_WORKFLOW_RETRY_POLICY,
        ServerFeature.CHILD_WORKFLOW_TIMEOUTS,
        ServerFeature.PARENT_CLOSE_POLICY,
        ServerFeature.NON_RETRYABLE_FAILURES,
        ServerFeature.HISTORY_RETENTION,
        ServerFeature.PAYLOAD_CODEC_ENVELOPE,
        ServerFeature.PAYLOAD_CODEC_ENVELOPE_RESPONSES,
        ServerFeature.BRIDGE_ADAPTER_OUTCOME_CONTRACT,
        ServerFeature.EXTERNAL_EXECUTOR_CONFIG_CONTRACT,
        ServerFeature.INVOCABLE_CARRIER_CONTRACT,
        ServerFeature.EMBEDDED_V2_IMPORT,
    }
)


def advertised_version(settings: Settings) -> WorkerVersion:
    """The worker protocol version that is told (checked at boot)."""
    configured = settings.worker_plane.protocol_version
    if configured is None:
        return DEFAULT_WORKER_VERSION
    return SUPPORTED_WORKER_VERSIONS[configured]


def node_facts(settings: Settings) -> NodeFacts:
    return NodeFacts(
        identity=node_identity(settings),
        features=WorkingFeatures(
            commands=WORKING_COMMANDS,
            capabilities=WORKER_CAPABILITIES,
            long_poll_timeout_seconds=settings.worker_plane.poll_timeout_seconds,
            is_compression_enabled=settings.http.compression_enabled,
        ),
        advertised_version=advertised_version(settings),
        default_namespace=settings.server.default_namespace.lower(),
        max_body_bytes=settings.published_limits.max_payload_bytes,
        max_bundle_bytes=settings.http.max_import_bytes,
        backend_driver="sqlite" if settings.database.sqlite_path else "pgsql",
        attribution=_attribution(settings),
    )


def _attribution(settings: Settings) -> Attribution:
    names = settings.attribution
    if not names.trusts_forwarded_headers:
        return Attribution()
    return Attribution(
        ForwardedHeaders(
            caller_type=names.caller_type_header,
            caller_label=names.caller_label_header,
            auth_status=names.auth_status_header,
            auth_method=names.auth_method_header,
        )
    )


def node_identity(settings: Settings) -> NodeIdentity:
    """The place of this process in the topology."""
    topology = settings.topology
    selected = select_topology(topology.shape, topology.process_class)
    return NodeIdentity(
        shape=selected.shape,
        process_class=selected.process_class,
        execution_mode=ServerMode(settings.server.mode).execution_mode,
        matching=MatchingSettings(
            is_queue_wake_enabled=topology.matching_queue_wake,
            task_dispatch_mode=TaskDispatchMode(topology.task_dispatch_mode),
        ),
    )


def build_version(settings: Settings) -> str:
    return settings.server.app_version or __version__


def server_facts(settings: Settings) -> ServerFacts:
    limits, structural = settings.published_limits, settings.structural_limits
    return ServerFacts(
        server_id=settings.server.server_id,
        version=build_version(settings),
        features=SERVER_FEATURES,
        limits=Limits(
            max_payload_bytes=limits.max_payload_bytes,
            max_memo_bytes=limits.max_memo_bytes,
            max_search_attributes=limits.max_search_attributes,
            max_search_attribute_key_length=limits.max_search_attribute_key_length,
            max_search_attribute_value_bytes=limits.max_search_attribute_value_bytes,
            max_operation_name_length=limits.max_operation_name_length,
            max_pending_activities=limits.max_pending_activities,
            max_pending_children=limits.max_pending_children,
        ),
        structural_limits=StructuralLimits(
            pending_activity_count=structural.pending_activities,
            pending_child_count=structural.pending_children,
            pending_timer_count=structural.pending_timers,
            pending_signal_count=structural.pending_signals,
            pending_update_count=structural.pending_updates,
            command_batch_size=structural.command_batch_size,
            payload_size_bytes=structural.payload_size_bytes,
            memo_size_bytes=structural.memo_size_bytes,
            search_attribute_size_bytes=structural.search_attribute_size_bytes,
            history_transaction_size=structural.history_transaction_size,
            warning_threshold_percent=structural.warning_threshold_percent,
        ),
        package_provenance=package_provenance(settings.server),
    )

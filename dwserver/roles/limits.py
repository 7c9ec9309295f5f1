"""What settings mean to the engine and to requests."""

from __future__ import annotations

from dwserver.config.settings import Settings
from dwserver.engine.context import Limits, Policy
from dwserver.engine.wire_time import MICROS
from dwserver.protocol.payloads.framing import framing_for
from dwserver.roles.identity import advertised_version
from dwserver.services.catalog import RequestLimits

# Published in worker acknowledgements; workers send a heartbeat this often.
HEARTBEAT_INTERVAL_SECONDS = 60
DEFAULT_TASK_QUEUE = "default"


def engine_policy(settings: Settings) -> Policy:
    limits, plane = settings.engine_limits, settings.worker_plane
    return Policy(
        limits=Limits(
            pending_activities=limits.pending_activities,
            pending_children=limits.pending_children,
            pending_timers=limits.pending_timers,
            pending_signals=limits.pending_signals,
            pending_updates=limits.pending_updates,
            command_batch_size=limits.command_batch_size,
            history_transaction_size=limits.history_transaction_size,
            history_events=limits.history_events,
            payload_bytes=limits.payload_size_bytes,
            search_attributes=limits.search_attribute_count,
            search_attribute_bytes=limits.search_attribute_size_bytes,
            search_attribute_key_length=limits.search_attribute_key_length,
            search_attribute_value_bytes=limits.search_attribute_value_bytes,
        ),
        workflow_task_lease=plane.workflow_task_lease_seconds * MICROS,
        activity_task_lease=plane.activity_task_lease_seconds * MICROS,
        redispatch_after=settings.repair.redispatch_after_seconds * MICROS,
        failure_backoff_max=settings.repair.failure_backoff_max_seconds * MICROS,
        recognises_resent_commands=settings.engine.replay_command_dedup,
        holds_messages=settings.engine.buffer_messages_while_leased,
        wakes_at_first_failure=settings.engine.parallel_fail_fast,
        pins_definitions=settings.compatibility.pins_fingerprint,
    )


def request_limits(settings: Settings) -> RequestLimits:
    published = settings.published_limits
    return RequestLimits(
        poll_timeout_seconds=settings.worker_plane.poll_timeout_seconds,
        query_poll_timeout_seconds=settings.query_tasks.poll_timeout_seconds,
        history_page_default=settings.history.page_size_default,
        history_page_max=settings.history.page_size_max,
        payload_bytes=published.max_payload_bytes,
        external_payload_bytes=settings.storage.max_payload_bytes,
        memo_bytes=published.max_memo_bytes,
        search_attributes=published.max_search_attributes,
        attributes=engine_policy(settings).limits,
        update_wait_seconds=settings.engine.update_wait_timeout_seconds,
        operation_name_bytes=settings.engine_limits.operation_name_length,
        retention_days=settings.history.retention_days,
        default_task_queue=DEFAULT_TASK_QUEUE,
        worker_heartbeat_interval_seconds=HEARTBEAT_INTERVAL_SECONDS,
        control_plane_framing=framing_for(advertised_version(settings)),
        compatibility=settings.compatibility.current,
    )

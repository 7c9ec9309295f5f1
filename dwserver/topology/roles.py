"""Facts about each role: its nature, what it owns, what its loss means.

Source: ``spec/topology-and-operations.md`` §1.10.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final

from dwserver.topology.shapes import Role


@dataclass(frozen=True, slots=True, kw_only=True)
class RoleFacts:
    """``writes`` names the tables and columns that only this role changes."""

    plane: str
    runs_user_code: bool
    accepts_external_http: bool
    steady_state_interface: str
    writes: tuple[str, ...]
    scales_with: str
    loss_effect: str
    loss_signal: str


ROLE_FACTS: Final[Mapping[Role, RoleFacts]] = MappingProxyType(
    {
        Role.API_INGRESS: RoleFacts(
            plane="control",
            runs_user_code=False,
            accepts_external_http=True,
            steady_state_interface="external_http",
            writes=("worker_registrations",),
            scales_with="incoming_http_request_rate",
            loss_effect="external_http_traffic_stops_at_the_edge",
            loss_signal="embedded_in_process_calls_may_continue",
        ),
        Role.CONTROL_PLANE: RoleFacts(
            plane="control",
            runs_user_code=False,
            accepts_external_http=True,
            steady_state_interface="control_plane_contract",
            writes=(
                "workflow_instances",
                "workflow_runs.status",
                "workflow_tasks.lifecycle",
            ),
            scales_with="operator_commands_and_run_lifecycle_transitions",
            loss_effect="workers_continue_claimed_tasks_only_until_lease_expiry",
            loss_signal="operator_commands_fail_fast",
        ),
        Role.MATCHING: RoleFacts(
            plane="control",
            runs_user_code=False,
            accepts_external_http=True,
            steady_state_interface="worker_poll_and_repair",
            writes=("workflow_tasks.leases", "activity_tasks.leases"),
            scales_with="ready_task_rate_and_poller_count",
            loss_effect="claim_falls_back_to_direct_ready_task_discovery",
            loss_signal="ready_depth_rises_while_claim_rate_falls",
        ),
        Role.HISTORY_PROJECTION: RoleFacts(
            plane="control",
            runs_user_code=False,
            accepts_external_http=False,
            steady_state_interface="projection_writer",
            writes=(
                "history_events",
                "workflow_run_summaries",
                "workflow_history_exports",
            ),
            scales_with="durable_event_rate",
            loss_effect="projection_reads_may_stale_while_durable_writes_continue",
            loss_signal="projection_lag_seconds_may_increase",
        ),
        Role.SCHEDULER: RoleFacts(
            plane="control",
            runs_user_code=False,
            accepts_external_http=False,
            steady_state_interface="schedule_runner",
            writes=("workflow_schedules.fire_state", "workflow_starts.scheduled"),
            scales_with="active_schedule_count",
            loss_effect="scheduled_workflows_stop_firing_and_record_missed_runs",
            loss_signal="operators_see_missed_schedule_state",
        ),
        Role.EXECUTION_PLANE: RoleFacts(
            plane="execution",
            runs_user_code=True,
            accepts_external_http=False,
            steady_state_interface="worker_protocol",
            writes=(
                "workflow_tasks.outcomes",
                "activity_attempts",
                "worker_compatibility_heartbeats",
            ),
            scales_with="workflow_and_activity_task_rate",
            loss_effect="ready_tasks_accumulate_without_loss",
            loss_signal="operators_see_ready_depth_growth",
        ),
    }
)

# The published authority and failure tables list the roles in this order.
AUTHORITY_ORDER: Final = (
    Role.CONTROL_PLANE,
    Role.EXECUTION_PLANE,
    Role.MATCHING,
    Role.HISTORY_PROJECTION,
    Role.SCHEDULER,
    Role.API_INGRESS,
)


@dataclass(frozen=True, slots=True)
class MutationAuthority:
    """Who may perform one kind of change, and who reads its result."""

    surface: str
    mutation: str
    owners: tuple[Role, ...]
    readers: tuple[Role, ...]


MUTATION_AUTHORITIES: Final = (
    MutationAuthority(
        "workflow_instances",
        "status_transitions",
        (Role.CONTROL_PLANE,),
        (Role.HISTORY_PROJECTION, Role.API_INGRESS),
    ),
    MutationAuthority(
        "workflow_runs",
        "status_transitions",
        (Role.CONTROL_PLANE,),
        (Role.HISTORY_PROJECTION, Role.API_INGRESS),
    ),
    MutationAuthority(
        "workflow_tasks",
        "create_retire",
        (Role.CONTROL_PLANE, Role.HISTORY_PROJECTION),
        (Role.MATCHING, Role.EXECUTION_PLANE),
    ),
    MutationAuthority(
        "workflow_tasks",
        "lease_claim_release",
        (Role.MATCHING,),
        (Role.EXECUTION_PLANE, Role.CONTROL_PLANE),
    ),
    MutationAuthority(
        "activity_executions",
        "create",
        (Role.CONTROL_PLANE,),
        (Role.HISTORY_PROJECTION,),
    ),
    MutationAuthority(
        "activity_executions",
        "outcomes",
        (Role.EXECUTION_PLANE,),
        (Role.HISTORY_PROJECTION,),
    ),
    MutationAuthority(
        "activity_attempts",
        "create",
        (Role.CONTROL_PLANE,),
        (Role.HISTORY_PROJECTION,),
    ),
    MutationAuthority(
        "activity_attempts",
        "outcomes",
        (Role.EXECUTION_PLANE,),
        (Role.HISTORY_PROJECTION,),
    ),
    MutationAuthority(
        "history_events",
        "record",
        (Role.HISTORY_PROJECTION,),
        (Role.CONTROL_PLANE, Role.EXECUTION_PLANE, Role.API_INGRESS),
    ),
    MutationAuthority(
        "run_summaries",
        "project",
        (Role.HISTORY_PROJECTION,),
        (Role.CONTROL_PLANE, Role.MATCHING, Role.API_INGRESS),
    ),
    MutationAuthority(
        "workflow_schedules", "crud", (Role.CONTROL_PLANE,), (Role.API_INGRESS,)
    ),
    MutationAuthority(
        "workflow_schedules", "fire", (Role.SCHEDULER,), (Role.API_INGRESS,)
    ),
    MutationAuthority(
        "worker_compatibility_heartbeats",
        "heartbeat",
        (Role.EXECUTION_PLANE,),
        (Role.MATCHING, Role.HISTORY_PROJECTION, Role.API_INGRESS),
    ),
    MutationAuthority(
        "worker_registrations",
        "register_heartbeat",
        (Role.API_INGRESS,),
        (Role.MATCHING, Role.CONTROL_PLANE, Role.HISTORY_PROJECTION),
    ),
)

"""The public methods of the SDK's client and of its handles, by the first of the
checked releases that has them. No release has lost one."""

from __future__ import annotations


def _of(owner: str, names: str) -> list[str]:
    return [f"{owner}.{name}" for name in names.split()]


SINCE: dict[str, tuple[str, ...]] = {
    "0.3.1": (
        *_of(
            "Client",
            """aclose backfill_schedule cancel_workflow complete_activity_task
            complete_query_task complete_workflow_task create_schedule
            delete_schedule describe_schedule describe_workflow fail_activity_task
            fail_query_task fail_workflow_task get_cluster_info get_history
            get_result get_schedule_handle get_workflow_handle health
            heartbeat_activity_task list_schedules list_workflows pause_schedule
            poll_activity_task poll_query_task poll_workflow_task query_workflow
            register_worker resume_schedule signal_workflow start_workflow
            terminate_workflow trigger_schedule update_schedule update_workflow
            workflow_task_history""",
        ),
        *_of(
            "ScheduleHandle",
            """backfill delete describe pause resume trigger update""",
        ),
        *_of(
            "WorkflowHandle",
            """cancel describe query result signal terminate update""",
        ),
    ),
    "0.4.14": (
        *_of(
            "Client",
            """activity_timeout_pass activity_timeout_status archive_workflow
            create_namespace create_search_attribute delete_search_attribute
            deregister_worker describe_namespace describe_task_queue
            describe_worker describe_workflow_run drain_task_queue_build_id
            export_history get_schedule_history iter_schedule_history
            list_namespaces list_search_attributes list_task_queue_build_ids
            list_task_queues list_workers list_workflow_runs repair_pass
            repair_status repair_workflow resume_task_queue_build_id
            retention_pass retention_status send_webhook_bridge_event
            set_namespace_external_storage test_external_storage update_namespace""",
        ),
        *_of(
            "ScheduleHandle",
            """history iter_history""",
        ),
        *_of(
            "WorkflowHandle",
            """archive describe_run export_history get_history list_runs repair""",
        ),
    ),
    "0.4.106": (
        *_of(
            "Client",
            """delete_namespace describe_activity execute_nexus_operation
            get_activity_handle get_activity_result heartbeat_worker
            list_activities poll_workflow_task_response
            promote_task_queue_build_id start_activity""",
        ),
        *_of(
            "StandaloneActivityHandle",
            """cancel describe result""",
        ),
    ),
    "2.x": (
        *_of(
            "Client",
            """acknowledge_activity_cancellation activity_task_status
            append_message_stream append_workflow_stream
            approve_update_validation_task cancellation_scope_boundary_on_claim
            close_worker_session close_workflow_stream create_worker_session
            deliver_workflow_cancellation deregister_worker_registration
            describe_workflow_stream heartbeat_workflow_task iter_workflow_stream
            list_workflow_streams open_cancellation_scope_on_claim
            poll_update_validation_task prepared_local_activity_operation
            query_task_status redrive_workflow reject_update_validation_task
            renew_activity_task_lease renew_worker_session
            request_workflow_cancellation subscribe_workflow_stream""",
        ),
        *_of(
            "WorkflowHandle",
            """append_message redrive request_cancellation""",
        ),
    ),
}


def methods_of(release: str) -> set[str]:
    """All methods that a release has."""
    releases = list(SINCE)
    upto = releases[: releases.index(release) + 1]
    return {method for known in upto for method in SINCE[known]}

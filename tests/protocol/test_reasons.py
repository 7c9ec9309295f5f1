"""The reason table against the two catalogues of the contract."""

from __future__ import annotations

import pytest

from dwserver.protocol.reasons import REASONS, Plane, Reason, status_of

# Status to reasons, as the control plane's catalogue lists them.
CONTROL_CATALOGUE = {
    400: "malformed_json missing_control_plane_version "
    "unsupported_control_plane_version",
    401: "unauthorized",
    403: "forbidden",
    404: "not_found namespace_not_found instance_not_found run_not_found "
    "unknown_signal unknown_update query_not_found rejected_unknown_query "
    "worker_not_found attribute_not_found activity_not_found schedule_not_found",
    405: "method_not_allowed",
    409: "namespace_already_exists name_reserved attribute_already_exists "
    "system_attribute schedule_already_exists workflow_id_reserved_in_namespace "
    "activity_id_reserved_in_namespace instance_already_started "
    "compatibility_blocked task_queue_draining historical_run_command_rejected "
    "instance_not_started run_not_active run_not_closed selected_run_not_current "
    "earlier_signal_pending structural_limit_exceeded "
    "workflow_definition_unavailable configured_workflow_type_invalid "
    "query_worker_unavailable query_rejected query_worker_incompatible",
    413: "payload_too_large",
    415: "unsupported_media_type",
    422: "validation_failed invalid_signal_arguments invalid_update_arguments "
    "invalid_query_arguments search_attribute_limit_reached memo_too_large "
    "invalid_time_range invalid_import_bundle external_storage_not_configured "
    "external_storage_disabled storage_driver_unavailable unknown_target "
    "malformed_payload unsupported_action unsupported_routing",
    429: "query_task_queue_full",
    500: "server_error control_plane_internal_error workflow_output_codec_unavailable",
    503: "query_task_queue_unavailable topology_role_unavailable workflow_v2_blocked "
    "embedded_v2_import_unavailable external_payload_storage_unavailable "
    "backend_lock_pressure",
    504: "query_worker_timeout query_task_not_claimed query_worker_execution_timeout",
}
WORKER_CATALOGUE = {
    200: "run_cancelled run_terminated run_closed activity_cancelled task_cancelled "
    "attempt_closed activity_not_running stale_attempt stale_task task_not_found "
    "task_not_leased activity_execution_missing workflow_run_missing",
    400: "missing_protocol_version unsupported_protocol_version malformed_json "
    "invalid_page_token",
    401: "unauthorized",
    403: "forbidden",
    404: "namespace_not_found not_found worker_not_registered task_not_found "
    "history_not_available attempt_not_found query_task_not_found",
    405: "method_not_allowed",
    409: "workflow_definition_changed task_queue_mismatch build_id_mismatch "
    "task_not_leased lease_expired lease_owner_mismatch "
    "workflow_task_attempt_mismatch run_closed run_already_closed run_not_found "
    "run_timed_out task_not_workflow task_not_active invalid_commands task_mismatch "
    "stale_attempt activity_execution_missing run_cancelled run_terminated "
    "query_task_not_leased query_task_attempt_mismatch query_task_timed_out",
    412: "worker_not_registered",
    413: "payload_too_large",
    415: "unsupported_media_type",
    422: "validation_failed structural_limit_exceeded",
    500: "server_error",
    503: "query_task_queue_unavailable topology_role_unavailable",
}
NEVER_SENT = {
    # Another namespace's ids are never visible (decision 20f).
    "workflow_id_reserved_in_namespace",
    # Such updates are queued (decision 6).
    "earlier_signal_pending",
    # Needs workflow classes inside the server.
    "configured_workflow_type_invalid",
}


def catalogue(plane: Plane) -> dict[int, str]:
    return CONTROL_CATALOGUE if plane is Plane.CONTROL else WORKER_CATALOGUE


@pytest.mark.parametrize("plane", Plane)
def test_every_catalogued_reason_has_its_status(plane: Plane) -> None:
    missing = [
        (word, status)
        for status, words in catalogue(plane).items()
        for word in words.split()
        if word not in NEVER_SENT
        and status not in REASONS[Reason(word)].statuses(plane)
    ]
    assert missing == []


def test_reasons_that_cannot_happen_here_do_not_exist() -> None:
    assert not NEVER_SENT & {str(reason) for reason in Reason}


def test_every_reason_has_a_meaning_and_appears_somewhere() -> None:
    assert set(REASONS) == set(Reason)
    for reason, facts in REASONS.items():
        assert facts.meaning, reason
        assert facts.control or facts.worker, reason


def test_usual_statuses() -> None:
    assert status_of(Reason.STRUCTURAL_LIMIT_EXCEEDED, Plane.CONTROL) == 409
    assert status_of(Reason.STRUCTURAL_LIMIT_EXCEEDED, Plane.WORKER) == 422
    assert status_of(Reason.WORKER_NOT_REGISTERED, Plane.WORKER) == 412
    assert status_of(Reason.HISTORY_PRUNED, Plane.CONTROL) == 410
    assert status_of(Reason.DUPLICATE_NOT_ALLOWED, Plane.CONTROL) == 409


def test_a_reason_of_the_other_plane_is_a_defect_of_the_caller() -> None:
    with pytest.raises(LookupError, match="lease_expired"):
        status_of(Reason.LEASE_EXPIRED, Plane.CONTROL)


def test_version_refusals_stay_on_their_plane() -> None:
    assert not REASONS[Reason.MISSING_PROTOCOL_VERSION].control
    assert not REASONS[Reason.MISSING_CONTROL_PLANE_VERSION].worker

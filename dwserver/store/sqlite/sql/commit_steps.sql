-- What a commit writes about tasks, steps and messages. See commit.sql.

-- name: insert_tasks
-- New tasks, ready ones and those that are handed off already.
insert into tasks (
    id,
    run_id,
    namespace,
    kind,
    status,
    queue,
    type_name,
    available_at,
    created_at,
    compatibility,
    priority,
    attempt,
    repair_count,
    lease_owner,
    leased_at,
    lease_expires_at,
    snapshot_sequence,
    activity_id,
    attempt_id,
    last_error,
    closed_at,
    definition_fingerprint,
    ready_at,
    resume
)
values {rows}

-- name: update_tasks
-- Tasks as they are after the transition.
with x (
    id,
    status,
    queue,
    available_at,
    compatibility,
    priority,
    attempt,
    repair_count,
    lease_owner,
    leased_at,
    lease_expires_at,
    snapshot_sequence,
    attempt_id,
    last_error,
    closed_at,
    definition_fingerprint,
    ready_at,
    resume
) as (values {rows})
update tasks as t
set
    status = x.status,
    queue = x.queue,
    available_at = x.available_at,
    compatibility = x.compatibility,
    priority = x.priority,
    attempt = x.attempt,
    repair_count = x.repair_count,
    lease_owner = x.lease_owner,
    leased_at = x.leased_at,
    lease_expires_at = x.lease_expires_at,
    snapshot_sequence = x.snapshot_sequence,
    attempt_id = x.attempt_id,
    last_error = x.last_error,
    closed_at = x.closed_at,
    definition_fingerprint = x.definition_fingerprint,
    ready_at = x.ready_at,
    resume = x.resume
from x
where t.id = x.id

-- name: insert_activities
-- New activities with their arguments.
insert into activities (
    id,
    run_id,
    step,
    batch,
    activity_type,
    status,
    queue,
    payload_codec,
    digest,
    created_at,
    attempt_count,
    schedule_deadline_at,
    close_deadline_at,
    schedule_to_close_deadline_at,
    heartbeat_deadline_at,
    last_heartbeat_at,
    started_at,
    closed_at,
    is_held,
    deadline_at,
    retry_policy,
    parallel,
    arguments_codec,
    arguments
)
values {rows}

-- name: update_activities
-- Activities as they are after the transition.
with x (
    id,
    status,
    attempt_count,
    schedule_deadline_at,
    close_deadline_at,
    schedule_to_close_deadline_at,
    heartbeat_deadline_at,
    last_heartbeat_at,
    started_at,
    closed_at,
    is_held,
    deadline_at
) as (values {rows})
update activities as t
set
    status = x.status,
    attempt_count = x.attempt_count,
    schedule_deadline_at = x.schedule_deadline_at,
    close_deadline_at = x.close_deadline_at,
    schedule_to_close_deadline_at = x.schedule_to_close_deadline_at,
    heartbeat_deadline_at = x.heartbeat_deadline_at,
    last_heartbeat_at = x.last_heartbeat_at,
    started_at = x.started_at,
    closed_at = x.closed_at,
    is_held = x.is_held,
    deadline_at = x.deadline_at
from x
where t.id = x.id

-- name: insert_run_imports
-- Where new runs come from that another engine began.
insert into run_imports (
    run_id,
    import_source,
    import_id,
    import_dedupe_key,
    import_contract_version,
    imported_at
)
values {rows}

-- name: insert_attempts
-- Attempts that have ended.
insert into activity_attempts (
    id,
    activity_id,
    task_id,
    run_id,
    number,
    status,
    lease_owner,
    started_at,
    closed_at
)
values {rows}

-- name: insert_timers
-- New timers.
insert into timers (
    id,
    run_id,
    step,
    batch,
    status,
    delay_seconds,
    fire_at,
    task_id,
    created_at,
    kind,
    closed_at,
    is_held,
    parallel
)
values {rows}

-- name: update_timers
-- Timers as they are after the transition.
with x (
    run_id,
    step,
    status,
    fire_at,
    closed_at,
    is_held
) as (values {rows})
update timers as t
set
    status = x.status,
    fire_at = x.fire_at,
    closed_at = x.closed_at,
    is_held = x.is_held
from x
where t.run_id = x.run_id
and t.step = x.step

-- name: insert_children
-- New child calls.
insert into children (
    id,
    run_id,
    step,
    batch,
    workflow_type,
    status,
    digest,
    child_workflow_id,
    child_run_id,
    created_at,
    child_run_number,
    attempt_count,
    parent_close_policy,
    closed_at,
    is_held,
    retry_policy,
    parallel
)
values {rows}

-- name: update_children
-- Child calls as they are after the transition.
with x (
    run_id,
    step,
    status,
    child_run_id,
    child_run_number,
    attempt_count,
    closed_at,
    is_held
) as (values {rows})
update children as t
set
    status = x.status,
    child_run_id = x.child_run_id,
    child_run_number = x.child_run_number,
    attempt_count = x.attempt_count,
    closed_at = x.closed_at,
    is_held = x.is_held
from x
where t.run_id = x.run_id
and t.step = x.step

-- name: insert_waits
-- New waits.
insert into waits (
    id,
    run_id,
    step,
    batch,
    wait_for,
    status,
    opened_at,
    name,
    condition_key,
    fingerprint,
    timeout_seconds,
    closed_at,
    is_held,
    parallel
)
values {rows}

-- name: update_waits
-- Waits as they are after the transition.
with x (
    run_id,
    step,
    status,
    closed_at,
    is_held
) as (values {rows})
update waits as t
set
    status = x.status,
    closed_at = x.closed_at,
    is_held = x.is_held
from x
where t.run_id = x.run_id
and t.step = x.step

-- name: insert_signals
-- New signals.
insert into signals (
    id,
    run_id,
    command_id,
    sequence,
    name,
    wait_id,
    status,
    received_at,
    event_sequence,
    step,
    applied_at
)
values {rows}

-- name: update_signals
-- Signals as they are after the transition.
with x (
    run_id,
    sequence,
    wait_id,
    status,
    event_sequence,
    step,
    applied_at
) as (values {rows})
update signals as t
set
    wait_id = x.wait_id,
    status = x.status,
    event_sequence = x.event_sequence,
    step = x.step,
    applied_at = x.applied_at
from x
where t.run_id = x.run_id
and t.sequence = x.sequence

-- name: insert_updates
-- New updates.
insert into updates (
    id,
    run_id,
    command_id,
    sequence,
    name,
    status,
    accepted_at,
    request_id,
    event_sequence,
    step,
    failure_id,
    failure_message,
    applied_at,
    closed_at,
    result_codec,
    result
)
values {rows}

-- name: update_updates
-- Updates as they are after the transition.
with x (
    run_id,
    sequence,
    status,
    event_sequence,
    step,
    failure_id,
    failure_message,
    applied_at,
    closed_at,
    result_codec,
    result
) as (values {rows})
update updates as t
set
    status = x.status,
    event_sequence = x.event_sequence,
    step = x.step,
    failure_id = x.failure_id,
    failure_message = x.failure_message,
    applied_at = x.applied_at,
    closed_at = x.closed_at,
    result_codec = x.result_codec,
    result = x.result
from x
where t.run_id = x.run_id
and t.sequence = x.sequence

-- The parts of the commit statement about what a run has: its tasks, steps and
-- messages. See commit.sql.

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
    resume,
    ready_at
)
select
    x.id,
    x.run_id,
    x.namespace,
    x.kind,
    x.status,
    x.queue,
    x.type_name,
    x.available_at,
    x.created_at,
    x.compatibility,
    x.priority,
    x.attempt,
    x.repair_count,
    x.lease_owner,
    x.leased_at,
    x.lease_expires_at,
    x.snapshot_sequence,
    x.activity_id,
    x.attempt_id,
    x.last_error,
    x.closed_at,
    x.definition_fingerprint,
    x.resume,
    case when x.status = 'ready' then x.available_at end
from unnest($1::task_row[]) x
where {applies}

-- name: update_tasks
-- Tasks as they are after the transition.
update tasks t
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
    resume = x.resume,
    ready_at = case when x.status = 'ready' then x.available_at end
from unnest($1::task_change_row[]) x
where t.id = x.id
and {applies}

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
    retry_policy,
    parallel,
    deadline_at,
    arguments_codec,
    arguments
)
select
    x.id,
    x.run_id,
    x.step,
    x.batch,
    x.activity_type,
    x.status,
    x.queue,
    x.payload_codec,
    x.digest,
    x.created_at,
    x.attempt_count,
    x.schedule_deadline_at,
    x.close_deadline_at,
    x.schedule_to_close_deadline_at,
    x.heartbeat_deadline_at,
    x.last_heartbeat_at,
    x.started_at,
    x.closed_at,
    x.is_held,
    x.retry_policy,
    x.parallel,
    x.deadline_at,
    x.arguments_codec,
    x.arguments
from unnest($1::activity_row[]) x
where {applies}

-- name: update_activities
-- Activities as they are after the transition.
update activities a
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
from unnest($1::activity_change_row[]) x
where a.id = x.id
and {applies}

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
select
    x.run_id,
    x.import_source,
    x.import_id,
    x.import_dedupe_key,
    x.import_contract_version,
    x.imported_at
from unnest($1::run_import_row[]) x
where {applies}

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
select
    x.id,
    x.activity_id,
    x.task_id,
    x.run_id,
    x.number,
    x.status,
    x.lease_owner,
    x.started_at,
    x.closed_at
from unnest($1::attempt_row[]) x
where {applies}

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
select
    x.id,
    x.run_id,
    x.step,
    x.batch,
    x.status,
    x.delay_seconds,
    x.fire_at,
    x.task_id,
    x.created_at,
    x.kind,
    x.closed_at,
    x.is_held,
    x.parallel
from unnest($1::timer_row[]) x
where {applies}

-- name: update_timers
-- Timers as they are after the transition.
update timers t
set
    status = x.status,
    fire_at = x.fire_at,
    closed_at = x.closed_at,
    is_held = x.is_held
from unnest($1::timer_change_row[]) x
where t.run_id = x.run_id
and t.step = x.step
and {applies}

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
select
    x.id,
    x.run_id,
    x.step,
    x.batch,
    x.workflow_type,
    x.status,
    x.digest,
    x.child_workflow_id,
    x.child_run_id,
    x.created_at,
    x.child_run_number,
    x.attempt_count,
    x.parent_close_policy,
    x.closed_at,
    x.is_held,
    x.retry_policy,
    x.parallel
from unnest($1::child_row[]) x
where {applies}

-- name: update_children
-- Child calls as they are after the transition.
update children c
set
    status = x.status,
    child_run_id = x.child_run_id,
    child_run_number = x.child_run_number,
    attempt_count = x.attempt_count,
    closed_at = x.closed_at,
    is_held = x.is_held
from unnest($1::child_change_row[]) x
where c.run_id = x.run_id
and c.step = x.step
and {applies}

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
select
    x.id,
    x.run_id,
    x.step,
    x.batch,
    x.wait_for,
    x.status,
    x.opened_at,
    x.name,
    x.condition_key,
    x.fingerprint,
    x.timeout_seconds,
    x.closed_at,
    x.is_held,
    x.parallel
from unnest($1::wait_row[]) x
where {applies}

-- name: update_waits
-- Waits as they are after the transition.
update waits w
set
    status = x.status,
    closed_at = x.closed_at,
    is_held = x.is_held
from unnest($1::wait_change_row[]) x
where w.run_id = x.run_id
and w.step = x.step
and {applies}

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
select
    x.id,
    x.run_id,
    x.command_id,
    x.sequence,
    x.name,
    x.wait_id,
    x.status,
    x.received_at,
    x.event_sequence,
    x.step,
    x.applied_at
from unnest($1::signal_row[]) x
where {applies}

-- name: update_signals
-- Signals as they are after the transition.
update signals s
set
    wait_id = x.wait_id,
    status = x.status,
    event_sequence = x.event_sequence,
    step = x.step,
    applied_at = x.applied_at
from unnest($1::signal_change_row[]) x
where s.run_id = x.run_id
and s.sequence = x.sequence
and {applies}

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
select
    x.id,
    x.run_id,
    x.command_id,
    x.sequence,
    x.name,
    x.status,
    x.accepted_at,
    x.request_id,
    x.event_sequence,
    x.step,
    x.failure_id,
    x.failure_message,
    x.applied_at,
    x.closed_at,
    x.result_codec,
    x.result
from unnest($1::update_row[]) x
where {applies}

-- name: update_updates
-- Updates as they are after the transition.
update updates u
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
from unnest($1::update_change_row[]) x
where u.run_id = x.run_id
and u.sequence = x.sequence
and {applies}

-- What a commit writes. A statement takes as many rows as there are: {rows} becomes that
-- many lists of parameters. Columns that the record has come first, in any order; those
-- that are computed come last, in the order of dwserver/store/sqlite/rows.py.

-- name: insert_instances
-- Reserve workflow ids; the current run is the first one.
insert into instances (
    namespace,
    workflow_id,
    workflow_type,
    current_run_id,
    run_count,
    created_at,
    first_run_id
)
values {rows}

-- name: update_instances
-- Move instances to their new current run.
with x (
    namespace,
    workflow_id,
    workflow_type,
    current_run_id,
    run_count
) as (values {rows})
update instances as t
set
    workflow_type = x.workflow_type,
    current_run_id = x.current_run_id,
    run_count = x.run_count
from x
where t.namespace = x.namespace
and t.workflow_id = x.workflow_id

-- name: insert_runs
-- New runs with what they were started with.
insert into runs (
    id,
    namespace,
    workflow_id,
    workflow_type,
    run_number,
    status,
    task_queue,
    payload_codec,
    started_at,
    last_progress_at,
    version,
    last_sequence,
    last_step,
    history_bytes,
    command_sequence,
    closed_reason,
    closed_at,
    compatibility,
    priority,
    execution_timeout_seconds,
    run_timeout_seconds,
    execution_deadline_at,
    run_deadline_at,
    task_failures,
    batch_first,
    batch_size,
    batch_resolved_sequence,
    continued_from_run_id,
    parent_run_id,
    parent_step,
    inherits_children,
    archived_at,
    deadline_at,
    status_bucket,
    wakes,
    sibling_of,
    output_codec,
    output,
    arguments_codec,
    arguments,
    memo,
    search_attributes,
    business_key
)
values {rows}

-- name: update_runs
-- Runs that exist. Their payloads are not named, so that they are not copied.
with x (
    id,
    status,
    task_queue,
    last_progress_at,
    version,
    last_sequence,
    last_step,
    history_bytes,
    command_sequence,
    closed_reason,
    closed_at,
    compatibility,
    priority,
    execution_timeout_seconds,
    run_timeout_seconds,
    execution_deadline_at,
    run_deadline_at,
    task_failures,
    batch_first,
    batch_size,
    batch_resolved_sequence,
    archived_at,
    deadline_at,
    status_bucket,
    wakes
) as (values {rows})
update runs as t
set
    status = x.status,
    task_queue = x.task_queue,
    last_progress_at = x.last_progress_at,
    version = x.version,
    last_sequence = x.last_sequence,
    last_step = x.last_step,
    history_bytes = x.history_bytes,
    command_sequence = x.command_sequence,
    closed_reason = x.closed_reason,
    closed_at = x.closed_at,
    compatibility = x.compatibility,
    priority = x.priority,
    execution_timeout_seconds = x.execution_timeout_seconds,
    run_timeout_seconds = x.run_timeout_seconds,
    execution_deadline_at = x.execution_deadline_at,
    run_deadline_at = x.run_deadline_at,
    task_failures = x.task_failures,
    batch_first = x.batch_first,
    batch_size = x.batch_size,
    batch_resolved_sequence = x.batch_resolved_sequence,
    archived_at = x.archived_at,
    deadline_at = x.deadline_at,
    status_bucket = x.status_bucket,
    wakes = x.wakes
from x
where t.id = x.id

-- name: update_run_outputs
-- What runs have returned.
with x (
    run_id,
    output_codec,
    output
) as (values {rows})
update runs as t
set
    output_codec = x.output_codec,
    output = x.output
from x
where t.id = x.run_id

-- name: update_run_inputs
-- Inputs of runs that exist already.
with x (
    run_id,
    arguments_codec,
    arguments,
    memo,
    search_attributes,
    business_key
) as (values {rows})
update runs as t
set
    arguments_codec = x.arguments_codec,
    arguments = x.arguments,
    memo = x.memo,
    search_attributes = x.search_attributes,
    business_key = x.business_key
from x
where t.id = x.run_id

-- name: insert_events
-- Append to history; held events have a negative sequence.
insert into history_events (
    sequence,
    id,
    event_type,
    payload,
    recorded_at,
    has_plain,
    task_id,
    command_id,
    run_id
)
values {rows}

-- name: release_events
-- Held events take their place in history.
with x (
    held,
    sequence,
    recorded_at,
    run_id
) as (values {rows})
update history_events as t
set
    sequence = x.sequence,
    recorded_at = x.recorded_at
from x
where t.run_id = x.run_id
and t.sequence = x.held

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

-- name: insert_commands
-- Recorded commands.
insert into commands (
    id,
    namespace,
    workflow_id,
    run_id,
    sequence,
    command_type,
    status,
    outcome,
    created_at,
    target_name,
    rejection_reason,
    request_id,
    applied_at,
    payload_codec,
    payload,
    context
)
values {rows}

-- name: update_commands
-- Commands that took effect.
with x (
    sequence,
    outcome,
    applied_at,
    run_id
) as (values {rows})
update commands as t
set
    outcome = x.outcome,
    applied_at = x.applied_at
from x
where t.run_id = x.run_id
and t.sequence = x.sequence

-- name: insert_failures
-- Recorded failures.
insert into failures (
    id,
    run_id,
    source_kind,
    source_id,
    propagation_kind,
    category,
    message,
    created_at,
    exception_type,
    exception_class,
    non_retryable,
    event_sequence
)
values {rows}

-- name: insert_outbox
-- Work for after the commit.
insert into outbox (
    id,
    kind,
    namespace,
    run_id,
    available_at,
    created_at,
    payload
)
values {rows}

-- name: list_run_versions
-- Versions of the runs that transitions are guarded by; $1: array of run ids.
select
    id,
    version
from runs
where id in (select value from json_each($1))

-- name: list_lease_expiries
-- When held leases expire; $1: array of task ids.
select
    id,
    lease_expires_at
from tasks
where id in (select value from json_each($1))
and status = 'leased'

-- name: list_taken_ids
-- Which workflow ids are taken; $1: array of pairs of namespace and workflow id.
select
    i.namespace,
    i.workflow_id
from json_each($1) k
join instances i
on i.namespace = k.value ->> 0
and i.workflow_id = k.value ->> 1

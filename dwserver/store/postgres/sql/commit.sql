-- The parts of the commit statement (dwserver/store/postgres/statement.py). A commit
-- is made of the parts that have rows; `$1` becomes the number of the part's array,
-- and {applies} the condition that the guards of the row's transition hold.

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
select
    x.namespace,
    x.workflow_id,
    x.workflow_type,
    x.current_run_id,
    x.run_count,
    x.created_at,
    x.current_run_id
from unnest($1::instance_row[]) x
where {applies}

-- name: update_instances
-- Move instances to their new current run.
update instances i
set
    workflow_type = x.workflow_type,
    current_run_id = x.current_run_id,
    run_count = x.run_count
from unnest($1::instance_row[]) x
where i.namespace = x.namespace
and i.workflow_id = x.workflow_id
and {applies}

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
    arguments_codec,
    arguments,
    output_codec,
    output,
    memo,
    search_attributes,
    business_key
)
select
    x.id,
    x.namespace,
    x.workflow_id,
    x.workflow_type,
    x.run_number,
    x.status,
    x.task_queue,
    x.payload_codec,
    x.started_at,
    x.last_progress_at,
    x.version,
    x.last_sequence,
    x.last_step,
    x.history_bytes,
    x.command_sequence,
    x.closed_reason,
    x.closed_at,
    x.compatibility,
    x.priority,
    x.execution_timeout_seconds,
    x.run_timeout_seconds,
    x.execution_deadline_at,
    x.run_deadline_at,
    x.task_failures,
    x.batch_first,
    x.batch_size,
    x.batch_resolved_sequence,
    x.continued_from_run_id,
    x.parent_run_id,
    x.parent_step,
    x.inherits_children,
    x.archived_at,
    x.deadline_at,
    x.status_bucket,
    x.wakes,
    x.sibling_of,
    x.arguments_codec,
    x.arguments,
    x.output_codec,
    x.output,
    x.memo,
    x.search_attributes,
    x.business_key
from unnest($1::run_row[]) x
where {applies}

-- name: update_runs
-- Runs that exist; where this is the guard, {applies} compares the version.
update runs r
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
    wakes = x.wakes,
    output_codec = coalesce(x.output_codec, r.output_codec),
    output = coalesce(x.output, r.output),
    arguments_codec = case
        when x.has_input then x.arguments_codec else r.arguments_codec
    end,
    arguments = case when x.has_input then x.arguments else r.arguments end,
    memo = case when x.has_input then x.memo else r.memo end,
    search_attributes = case
        when x.has_input then x.search_attributes else r.search_attributes
    end,
    business_key = case when x.has_input then x.business_key else r.business_key end
from unnest($1::run_change_row[]) x
where r.id = x.id
and {applies}

-- name: insert_events
-- Append to history; held events have a negative sequence.
insert into history_events (
    run_id,
    sequence,
    id,
    event_type,
    payload,
    recorded_at,
    has_plain,
    task_id,
    command_id
)
select
    x.run_id,
    x.sequence,
    x.id,
    x.event_type,
    x.payload,
    x.recorded_at,
    x.has_plain,
    x.task_id,
    x.command_id
from unnest($1::event_row[]) x
where {applies}

-- name: release_events
-- Held events take their place in history.
update history_events e
set
    sequence = x.sequence,
    recorded_at = x.recorded_at
from unnest($1::released_row[]) x
where e.run_id = x.run_id
and e.sequence = x.held
and {applies}

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
select
    x.id,
    x.namespace,
    x.workflow_id,
    x.run_id,
    x.sequence,
    x.command_type,
    x.status,
    x.outcome,
    x.created_at,
    x.target_name,
    x.rejection_reason,
    x.request_id,
    x.applied_at,
    x.payload_codec,
    x.payload,
    x.context
from unnest($1::command_row[]) x
where {applies}

-- name: update_commands
-- Commands that took effect.
update commands c
set
    outcome = x.outcome,
    applied_at = x.applied_at
from unnest($1::applied_command_row[]) x
where c.run_id = x.run_id
and c.sequence = x.sequence
and {applies}

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
select
    x.id,
    x.run_id,
    x.source_kind,
    x.source_id,
    x.propagation_kind,
    x.category,
    x.message,
    x.created_at,
    x.exception_type,
    x.exception_class,
    x.non_retryable,
    x.event_sequence
from unnest($1::failure_row[]) x
where {applies}

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
select
    x.id,
    x.kind,
    x.namespace,
    x.run_id,
    x.available_at,
    x.created_at,
    x.payload
from unnest($1::outbox_row[]) x
where {applies}

-- name: list_run_versions
-- The guarded runs that have the expected version; takes their locks in order.
select r.id
from unnest($1::run_guard[]) g
join runs r on r.id = g.run_id
where r.version = g.version
order by r.id
for no key update of r

-- name: list_lease_expiries
-- The guarded leases that are as expected; without an expiry only the lock is taken.
select t.id
from unnest($1::lease_guard[]) g
join tasks t on t.id = g.task_id
where g.lease_expires_at is null
or (t.status = 'leased' and t.lease_expires_at = g.lease_expires_at)
order by t.id
for no key update of t

-- name: list_taken_ids
-- The transitions that reserve a workflow id which is taken.
select x.n
from unnest($1::instance_row[]) x
where exists (
    select 1
    from instances i
    where i.namespace = x.namespace
    and i.workflow_id = x.workflow_id
)

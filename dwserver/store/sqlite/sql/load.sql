-- The slices that decisions and deliveries read.

-- name: load_runs
-- Runs; $1: array of run ids.
select
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
    wakes,
    continued_from_run_id,
    parent_run_id,
    parent_step
from runs
where id in (select value from json_each($1))

-- name: load_tasks
-- Their open tasks: the ready ones, then the leased ones, each by an index of its own.
select
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
    resume,
    activity_id,
    attempt_id,
    last_error,
    closed_at
from tasks
where run_id in (select value from json_each($1))
and ready_at is not null
union all
select
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
    resume,
    activity_id,
    attempt_id,
    last_error,
    closed_at
from tasks
where run_id in (select value from json_each($1))
and status = 'leased'

-- name: load_activities
-- Their open and held activities, and all members of their newest batches.
select
    s.id,
    s.run_id,
    s.step,
    s.batch,
    s.activity_type,
    s.status,
    s.queue,
    s.payload_codec,
    s.digest,
    s.created_at,
    s.attempt_count,
    s.retry_policy,
    s.parallel,
    s.schedule_deadline_at,
    s.close_deadline_at,
    s.schedule_to_close_deadline_at,
    s.heartbeat_deadline_at,
    s.last_heartbeat_at,
    s.started_at,
    s.closed_at,
    s.is_held
from json_each($1) k
join runs r on r.id = k.value
join activities s on s.run_id = r.id and s.step >= r.batch_first
where r.batch_size > 0
union all
select
    s.id,
    s.run_id,
    s.step,
    s.batch,
    s.activity_type,
    s.status,
    s.queue,
    s.payload_codec,
    s.digest,
    s.created_at,
    s.attempt_count,
    s.retry_policy,
    s.parallel,
    s.schedule_deadline_at,
    s.close_deadline_at,
    s.schedule_to_close_deadline_at,
    s.heartbeat_deadline_at,
    s.last_heartbeat_at,
    s.started_at,
    s.closed_at,
    s.is_held
from json_each($1) k
join runs r on r.id = k.value
join activities s on s.run_id = r.id
where (s.is_held or s.status in ('pending', 'running'))
and (r.batch_size = 0 or s.step < r.batch_first)
order by step

-- name: load_timers
-- Their pending and held timers, and all members of their newest batches. The key
-- would serve as well, but it passes all timers that a run ever had.
select
    s.id,
    s.run_id,
    s.step,
    s.batch,
    s.status,
    s.delay_seconds,
    s.fire_at,
    s.task_id,
    s.created_at,
    s.kind,
    s.parallel,
    s.closed_at,
    s.is_held
from json_each($1) k
join runs r on r.id = k.value
join timers s on s.run_id = r.id and s.step >= r.batch_first
where r.batch_size > 0
union all
select
    s.id,
    s.run_id,
    s.step,
    s.batch,
    s.status,
    s.delay_seconds,
    s.fire_at,
    s.task_id,
    s.created_at,
    s.kind,
    s.parallel,
    s.closed_at,
    s.is_held
from json_each($1) k
join runs r on r.id = k.value
join timers s indexed by timers_open on s.run_id = r.id
where (s.is_held or s.status = 'pending')
and (r.batch_size = 0 or s.step < r.batch_first)
order by step

-- name: find_instance
-- A workflow id and its current run.
select
    namespace,
    workflow_id,
    workflow_type,
    current_run_id,
    run_count,
    created_at
from instances
where namespace = $1
and workflow_id = $2

-- name: find_task
-- A task in whatever status, within its namespace.
select
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
    resume,
    activity_id,
    attempt_id,
    last_error,
    closed_at
from tasks
where id = $2
and namespace = $1

-- name: find_closed_attempt
-- An attempt that has ended.
select
    id,
    activity_id,
    task_id,
    run_id,
    number,
    status,
    lease_owner,
    started_at,
    closed_at
from activity_attempts
where id = $1

-- name: list_run_inputs
-- What runs were started with; $1: array of run ids.
select
    id,
    arguments_codec,
    arguments,
    memo,
    search_attributes,
    business_key
from runs
where id in (select value from json_each($1))

-- name: list_activity_arguments
-- Arguments of activities; $1: array of activity ids.
select
    id,
    arguments_codec,
    arguments
from activities
where id in (select value from json_each($1))

-- name: list_history
-- Events after $2 and up to $3; held ones have negative sequences.
select
    sequence,
    id,
    event_type,
    payload,
    recorded_at,
    has_plain,
    task_id,
    command_id
from history_events
where run_id = $1
and sequence > max($2, 0)
and sequence <= $3
order by sequence
limit $4

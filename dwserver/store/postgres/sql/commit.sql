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
    definition_fingerprint,
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
    x.definition_fingerprint,
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
    definition_fingerprint = x.definition_fingerprint,
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

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
    definition_fingerprint,
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
    definition_fingerprint,
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
    definition_fingerprint = x.definition_fingerprint,
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

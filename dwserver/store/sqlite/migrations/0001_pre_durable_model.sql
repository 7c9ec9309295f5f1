-- The durable model (spec/engine.md §1): what commits write and loads read.
--
-- Tables and columns are those of the PostgreSQL dialect: text ids and states, integer
-- instants in epoch microseconds, 0 and 1 for booleans, blobs for payload data (UTF-8
-- text of the codec) and for pre-serialised JSON. No foreign keys: a transition writes
-- all rows of a run together, under the guard of its version. Every index names the
-- query it serves. Tables with small rows are kept in the tree of their key alone
-- (without rowid); a row that can hold payloads is not, and has its large columns
-- last, so that reading the others does not walk through them.

create table namespaces (
    name text not null,
    description text,
    retention_days integer not null,
    status text not null,
    external_storage blob,
    created_at integer not null,
    updated_at integer not null,
    constraint namespaces_pkey primary key (name)
) strict, without rowid;

-- `first_run_id` with `runs.sibling_of` finds all runs of a workflow id: nearly every
-- workflow has one run only, which then needs no index entry beyond its key.
create table instances (
    namespace text not null,
    workflow_id text not null,
    workflow_type text not null,
    current_run_id text not null,
    first_run_id text not null,
    run_count integer not null,
    created_at integer not null,
    constraint instances_pkey primary key (namespace, workflow_id)
) strict, without rowid;

-- `status_bucket` repeats what `status` implies: the list index depends on it alone
-- and therefore moves once, when the run closes.
create table runs (
    id text not null,
    namespace text not null,
    workflow_id text not null,
    workflow_type text not null,
    run_number integer not null,
    status text not null,
    status_bucket text not null,
    task_queue text not null,
    payload_codec text not null,
    started_at integer not null,
    last_progress_at integer not null,
    version integer not null,
    last_sequence integer not null,
    last_step integer not null,
    history_bytes integer not null,
    command_sequence integer not null,
    closed_reason text,
    closed_at integer,
    compatibility text,
    priority integer not null,
    execution_timeout_seconds integer,
    run_timeout_seconds integer,
    execution_deadline_at integer,
    run_deadline_at integer,
    task_failures integer not null,
    batch_first integer not null,
    batch_size integer not null,
    batch_resolved_sequence integer not null,
    wakes blob,
    continued_from_run_id text,
    parent_run_id text,
    parent_step integer,
    inherits_children integer not null,
    archived_at integer,
    definition_fingerprint text,
    deadline_at integer,
    sibling_of text,
    arguments_codec text,
    arguments blob,
    output_codec text,
    output blob,
    memo blob,
    search_attributes blob,
    business_key text,
    pruned_at integer,
    constraint runs_pkey primary key (id),
    constraint runs_status check (status in (
        'pending', 'running', 'waiting',
        'cancelled', 'terminated', 'completed', 'failed'
    )),
    constraint runs_status_bucket check (
        status_bucket in ('running', 'completed', 'failed')
    )
) strict;

-- list_runs by bucket; without a bucket the three buckets are merged
create index runs_list on runs (namespace, status_bucket, started_at, id);
-- list_runs by workflow type
create index runs_list_by_type on runs (namespace, workflow_type, started_at, id);
-- list_runs_of_instance: the runs that did not create their instance
create index runs_siblings on runs (namespace, sibling_of, run_number)
    where sibling_of is not null;
-- list_due_runs: only open runs that can time out have an entry
create index runs_due on runs (deadline_at, id)
    where deadline_at is not null and status_bucket = 'running';
-- list_expired_runs, count_closed_runs: closed runs that retention may still prune
create index runs_closed on runs (namespace, closed_at, id, closed_reason)
    where closed_at is not null and archived_at is null and pruned_at is null;
-- count_archived_runs
create index runs_archived on runs (namespace, closed_reason)
    where archived_at is not null;
-- list_failing_types: open runs whose workflow task keeps failing
create index runs_failing on runs (namespace, workflow_type, task_failures)
    where task_failures > 0 and status_bucket = 'running';

-- Where runs come from that another engine began (spec/history-bundles.md §5.5). Few
-- have a row, so it is none of the columns that every start writes.
create table run_imports (
    run_id text not null,
    import_source text not null,
    import_id text not null,
    import_dedupe_key text not null,
    import_contract_version integer not null,
    imported_at integer not null,
    constraint run_imports_pkey primary key (run_id)
) strict, without rowid;

-- Search attributes as values that lists compare (dwserver/store/attribute_rows.py).
-- `started_at` repeats that of the run, for the order of the lists. `number` is there
-- for whatever has an order, `whole` when that is an integer or an instant.
create table run_attributes (
    run_id text not null,
    name text not null,
    kind text not null,
    term text not null,
    namespace text not null,
    started_at integer not null,
    whole integer,
    number real,
    constraint run_attributes_pkey primary key (run_id, name, kind, term)
) strict, without rowid;

-- list_runs: runs with a value of an attribute
create index run_attributes_terms
    on run_attributes (namespace, name, term, started_at, run_id);
-- list_runs: runs with a value of an attribute that has an order
create index run_attributes_numbers
    on run_attributes (namespace, name, started_at, run_id)
    where number is not null;

-- Held events wait under a negative sequence (spec/engine.md §10).
create table history_events (
    run_id text not null,
    sequence integer not null,
    id text not null,
    event_type text not null,
    payload blob not null,
    recorded_at integer not null,
    has_plain integer not null,
    task_id text,
    command_id text,
    constraint history_events_pkey primary key (run_id, sequence)
) strict;

-- `ready_at` is `available_at` while the task is ready and else null: a task that is
-- handed off at its creation never enters the ready indexes.
create table tasks (
    id text not null,
    run_id text not null,
    namespace text not null,
    kind text not null,
    status text not null,
    queue text not null,
    type_name text not null,
    available_at integer not null,
    ready_at integer,
    created_at integer not null,
    compatibility text,
    priority integer not null,
    attempt integer not null,
    repair_count integer not null,
    lease_owner text,
    leased_at integer,
    lease_expires_at integer,
    snapshot_sequence integer not null,
    resume blob,
    activity_id text,
    attempt_id text,
    last_error text,
    closed_at integer,
    definition_fingerprint text,
    constraint tasks_pkey primary key (id),
    constraint tasks_kind check (kind in ('workflow', 'activity')),
    constraint tasks_status check (
        status in ('ready', 'leased', 'completed', 'failed', 'cancelled')
    ),
    constraint tasks_ready_at check ((status = 'ready') = (ready_at is not null))
) strict, without rowid;

-- list_ready_tasks
create index tasks_ready on tasks (namespace, queue, kind, priority, ready_at, id)
    where ready_at is not null;
-- load_runs: the ready tasks of a run
create index tasks_ready_run on tasks (run_id) where ready_at is not null;
-- load_runs: the leased tasks of a run; list_expired_leases reads it as a whole.
-- The expiry is not a column of it on purpose: renewals then touch no index. Leases
-- are as many as workers have slots, so that reading them all is cheap.
create index tasks_leased on tasks (run_id) where status = 'leased';
-- prune_tasks: the closed tasks of a run
create index tasks_closed on tasks (run_id) where closed_at is not null;

-- `deadline_at` is the earliest deadline that counts while the activity is open. Renewals
-- move the deadline of the heartbeat and leave `deadline_at` behind, so that they touch
-- no index; whoever finds the activity due looks at the deadlines themselves.
create table activities (
    id text not null,
    run_id text not null,
    step integer not null,
    batch integer not null,
    activity_type text not null,
    status text not null,
    queue text not null,
    payload_codec text not null,
    digest text not null,
    created_at integer not null,
    attempt_count integer not null,
    retry_policy blob,
    parallel blob,
    schedule_deadline_at integer,
    close_deadline_at integer,
    schedule_to_close_deadline_at integer,
    heartbeat_deadline_at integer,
    last_heartbeat_at integer,
    started_at integer,
    closed_at integer,
    is_held integer not null,
    deadline_at integer,
    arguments_codec text,
    arguments blob,
    constraint activities_pkey primary key (id),
    constraint activities_run_step unique (run_id, step),
    constraint activities_status check (
        status in ('pending', 'running', 'completed', 'failed', 'cancelled')
    )
) strict;

-- load_runs: open and held activities of a run (the newest batch: activities_run_step)
create index activities_open on activities (run_id)
    where is_held or status in ('pending', 'running');
-- list_due_activities: only open activities that can time out have an entry
create index activities_due on activities (deadline_at, run_id, step)
    where deadline_at is not null;

create table activity_attempts (
    id text not null,
    activity_id text not null,
    task_id text not null,
    run_id text not null,
    number integer not null,
    status text not null,
    lease_owner text not null,
    started_at integer not null,
    closed_at integer not null,
    constraint activity_attempts_pkey primary key (id),
    constraint activity_attempts_status check (
        status in ('running', 'completed', 'failed', 'cancelled', 'expired')
    )
) strict, without rowid;

-- prune_attempts: the attempts of a run
create index activity_attempts_by_run on activity_attempts (run_id);
-- count_failed_attempts
create index activity_attempts_failed on activity_attempts (run_id, number)
    where status = 'failed';

create table timers (
    id text not null,
    run_id text not null,
    step integer not null,
    batch integer not null,
    status text not null,
    delay_seconds integer not null,
    fire_at integer not null,
    task_id text not null,
    created_at integer not null,
    kind text not null,
    parallel blob,
    closed_at integer,
    is_held integer not null,
    constraint timers_pkey primary key (run_id, step),
    constraint timers_status check (status in ('pending', 'fired', 'cancelled')),
    constraint timers_kind check (
        kind in ('plain', 'condition_timeout', 'signal_timeout')
    )
) strict, without rowid;

-- list_due_timers: a pending timer that is held waits for the leased workflow task
create index timers_due on timers (fire_at, run_id, step)
    where status = 'pending' and not is_held;
-- load_runs: pending and held timers of a run (the newest batch: timers_pkey)
create index timers_open on timers (run_id) where is_held or status = 'pending';

create table commands (
    id text not null,
    namespace text not null,
    workflow_id text not null,
    run_id text not null,
    sequence integer not null,
    command_type text not null,
    status text not null,
    outcome text not null,
    created_at integer not null,
    target_name text,
    rejection_reason text,
    request_id text,
    payload_codec text,
    applied_at integer,
    payload blob,
    context blob,
    constraint commands_pkey primary key (run_id, sequence),
    constraint commands_status check (status in ('accepted', 'rejected'))
) strict;

-- find_command: commands that their caller can name
create index commands_by_request on commands (run_id, request_id, sequence)
    where request_id is not null;

create table failures (
    id text not null,
    run_id text not null,
    source_kind text not null,
    source_id text not null,
    propagation_kind text not null,
    category text not null,
    message text not null,
    created_at integer not null,
    exception_type text,
    exception_class text,
    non_retryable integer not null,
    event_sequence integer,
    constraint failures_pkey primary key (id)
) strict;

-- list_failures_of_run
create index failures_by_run on failures (run_id, created_at, id);

-- No index on the heartbeat: it changes with every touch.
create table worker_registrations (
    namespace text not null,
    worker_id text not null,
    task_queue text not null,
    runtime text not null,
    sdk_version text,
    build_id text,
    workflow_types blob not null,
    activity_types blob not null,
    fingerprints blob not null,
    max_workflow_tasks integer not null,
    max_activity_tasks integer not null,
    status text not null,
    registered_at integer not null,
    last_heartbeat_at integer not null,
    details blob not null,
    constraint worker_registrations_pkey primary key (namespace, worker_id)
) strict;

-- The workers of queues. The queue comes first: without statistics the other order
-- would be as good as the key to find one worker.
create index worker_registrations_queue on worker_registrations (task_queue, namespace);

-- The durable model (spec/engine.md §1): what commits write and loads read.
--
-- Portable types only: text ids and states, bigint instants in epoch microseconds,
-- bytea for payload data (UTF-8 text of the codec) and for pre-serialised JSON. No
-- foreign keys: a transition writes all rows of a run in one guarded statement.
-- Key columns collate "C": their order is the same on every machine, for every release
-- of its locale library, and in Python. Every index names the query it serves.

-- Vocabularies (dwserver/engine/words.py). Domains, because PostgreSQL parses the check
-- of a domain once for each session and that of a table again for each statement.
create domain run_status as text collate "C" check (value in (
    'pending', 'running', 'waiting',
    'cancelled', 'terminated', 'completed', 'failed'
));
create domain run_status_bucket as text collate "C" check (value in (
    'running', 'completed', 'failed'
));
create domain task_kind as text collate "C" check (value in ('workflow', 'activity'));
create domain task_status as text collate "C" check (value in (
    'ready', 'leased', 'completed', 'failed', 'cancelled'
));
create domain activity_status as text collate "C" check (value in (
    'pending', 'running', 'completed', 'failed', 'cancelled'
));
create domain attempt_status as text collate "C" check (value in (
    'running', 'completed', 'failed', 'cancelled', 'expired'
));
create domain timer_status as text collate "C" check (value in (
    'pending', 'fired', 'cancelled'
));
create domain timer_kind as text collate "C" check (value in (
    'plain', 'condition_timeout', 'signal_timeout'
));
create domain command_status as text collate "C" check (value in (
    'accepted', 'rejected'
));

create table namespaces (
    name text collate "C" not null,
    description text,
    retention_days integer not null,
    status text not null,
    external_storage bytea,
    created_at bigint not null,
    updated_at bigint not null,
    constraint namespaces_pkey primary key (name)
);

-- `first_run_id` with `runs.sibling_of` finds all runs of a workflow id: nearly every
-- workflow has one run only, which then needs no index entry beyond its key.
create table instances (
    namespace text collate "C" not null,
    workflow_id text collate "C" not null,
    workflow_type text collate "C" not null,
    current_run_id text not null,
    first_run_id text not null,
    run_count integer not null,
    created_at bigint not null,
    constraint instances_pkey primary key (namespace, workflow_id)
) with (fillfactor = 90);

-- `status_bucket` repeats what `status` implies: the list index depends on it alone
-- and therefore moves once, when the run closes.
create table runs (
    id text collate "C" not null,
    namespace text collate "C" not null,
    workflow_id text collate "C" not null,
    workflow_type text collate "C" not null,
    run_number integer not null,
    status run_status not null,
    status_bucket run_status_bucket not null,
    task_queue text not null,
    payload_codec text not null,
    started_at bigint not null,
    last_progress_at bigint not null,
    version bigint not null,
    last_sequence bigint not null,
    last_step bigint not null,
    history_bytes bigint not null,
    command_sequence bigint not null,
    closed_reason text,
    closed_at bigint,
    compatibility text,
    priority integer not null,
    execution_timeout_seconds bigint,
    run_timeout_seconds bigint,
    execution_deadline_at bigint,
    run_deadline_at bigint,
    task_failures integer not null,
    batch_first bigint not null,
    batch_size integer not null,
    batch_resolved_sequence bigint not null,
    wakes bytea,
    continued_from_run_id text,
    parent_run_id text,
    parent_step bigint,
    inherits_children boolean not null,
    archived_at bigint,
    definition_fingerprint text,
    deadline_at bigint,
    sibling_of text collate "C",
    arguments_codec text,
    arguments bytea,
    output_codec text,
    output bytea,
    memo bytea,
    search_attributes bytea,
    business_key text,
    pruned_at bigint,
    constraint runs_pkey primary key (id)
) with (
    fillfactor = 50,
    autovacuum_vacuum_scale_factor = 0.05,
    autovacuum_analyze_scale_factor = 0.05
);

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
create index runs_closed on runs (namespace, closed_at, id) include (closed_reason)
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
    run_id text collate "C" not null,
    import_source text not null,
    import_id text not null,
    import_dedupe_key text not null,
    import_contract_version integer not null,
    imported_at bigint not null,
    constraint run_imports_pkey primary key (run_id)
);

-- Search attributes as values that lists compare (dwserver/store/attribute_rows.py).
-- `started_at` repeats that of the run, for the order of the lists. `number` is there
-- for whatever has an order, `whole` when that is an integer or an instant.
create table run_attributes (
    run_id text collate "C" not null,
    name text collate "C" not null,
    kind text collate "C" not null,
    term text collate "C" not null,
    namespace text collate "C" not null,
    started_at bigint not null,
    whole bigint,
    number double precision,
    constraint run_attributes_pkey primary key (run_id, name, kind, term)
);

-- list_runs: runs with a value of an attribute
create index run_attributes_terms
    on run_attributes (namespace, name, term, started_at, run_id);
-- list_runs: runs with a value of an attribute that has an order
create index run_attributes_numbers
    on run_attributes (namespace, name, started_at, run_id)
    where number is not null;

-- Held events wait under a negative sequence (spec/engine.md §10).
create table history_events (
    run_id text collate "C" not null,
    sequence bigint not null,
    id text collate "C" not null,
    event_type text not null,
    payload bytea not null,
    recorded_at bigint not null,
    has_plain boolean not null,
    task_id text,
    command_id text,
    constraint history_events_pkey primary key (run_id, sequence)
);

-- `ready_at` is `available_at` while the task is ready and else null: a task that is
-- handed off at its creation never enters the ready indexes.
create table tasks (
    id text collate "C" not null,
    run_id text collate "C" not null,
    namespace text collate "C" not null,
    kind task_kind not null,
    status task_status not null,
    queue text collate "C" not null,
    type_name text not null,
    available_at bigint not null,
    ready_at bigint,
    created_at bigint not null,
    compatibility text,
    priority integer not null,
    attempt integer not null,
    repair_count integer not null,
    lease_owner text,
    leased_at bigint,
    lease_expires_at bigint,
    snapshot_sequence bigint not null,
    resume bytea,
    activity_id text,
    attempt_id text,
    last_error text,
    closed_at bigint,
    definition_fingerprint text,
    constraint tasks_pkey primary key (id)
) with (
    fillfactor = 70,
    autovacuum_vacuum_scale_factor = 0.05,
    autovacuum_analyze_scale_factor = 0.05
);

-- list_ready_tasks
create index tasks_ready on tasks (namespace, queue, kind, priority, ready_at, id)
    where ready_at is not null;
-- load_runs: the ready tasks of a run
create index tasks_ready_run on tasks (run_id) where ready_at is not null;
-- load_runs: the leased tasks of a run; list_expired_leases reads it as a whole.
-- The expiry is not a column of it on purpose: renewals then stay heap-only. Leases
-- are as many as workers have slots, so that reading them all is cheap, whereas an
-- index on the expiry would take an entry for each task and one for each renewal.
create index tasks_leased on tasks (run_id) where status = 'leased';
-- prune_tasks: the closed tasks of a run
create index tasks_closed on tasks (run_id) where closed_at is not null;

-- `deadline_at` is the earliest deadline that counts while the activity is open. Renewals
-- move the deadline of the heartbeat and leave `deadline_at` behind, so that they stay
-- heap-only; whoever finds the activity due looks at the deadlines themselves.
create table activities (
    id text collate "C" not null,
    run_id text collate "C" not null,
    step bigint not null,
    batch bigint not null,
    activity_type text not null,
    status activity_status not null,
    queue text collate "C" not null,
    payload_codec text not null,
    digest text not null,
    created_at bigint not null,
    attempt_count integer not null,
    retry_policy bytea,
    parallel bytea,
    schedule_deadline_at bigint,
    close_deadline_at bigint,
    schedule_to_close_deadline_at bigint,
    heartbeat_deadline_at bigint,
    last_heartbeat_at bigint,
    started_at bigint,
    closed_at bigint,
    is_held boolean not null,
    deadline_at bigint,
    arguments_codec text,
    arguments bytea,
    constraint activities_pkey primary key (id),
    constraint activities_run_step unique (run_id, step)
) with (
    fillfactor = 70,
    autovacuum_vacuum_scale_factor = 0.05,
    autovacuum_analyze_scale_factor = 0.05
);

-- load_runs: open and held activities of a run (the newest batch: activities_run_step)
create index activities_open on activities (run_id)
    where is_held or status in ('pending', 'running');
-- list_due_activities: only open activities that can time out have an entry
create index activities_due on activities (deadline_at, run_id, step)
    where deadline_at is not null;

create table activity_attempts (
    id text collate "C" not null,
    activity_id text not null,
    task_id text not null,
    run_id text collate "C" not null,
    number integer not null,
    status attempt_status not null,
    lease_owner text not null,
    started_at bigint not null,
    closed_at bigint not null,
    constraint activity_attempts_pkey primary key (id)
);

-- prune_attempts: the attempts of a run
create index activity_attempts_by_run on activity_attempts (run_id);
-- count_failed_attempts
create index activity_attempts_failed on activity_attempts (run_id, number)
    where status = 'failed';

create table timers (
    id text collate "C" not null,
    run_id text collate "C" not null,
    step bigint not null,
    batch bigint not null,
    status timer_status not null,
    delay_seconds bigint not null,
    fire_at bigint not null,
    task_id text not null,
    created_at bigint not null,
    kind timer_kind not null,
    parallel bytea,
    closed_at bigint,
    is_held boolean not null,
    constraint timers_pkey primary key (run_id, step)
) with (
    fillfactor = 70,
    autovacuum_vacuum_scale_factor = 0.05,
    autovacuum_analyze_scale_factor = 0.05
);

-- list_due_timers: a pending timer that is held waits for the leased workflow task
create index timers_due on timers (fire_at, run_id, step)
    where status = 'pending' and not is_held;
-- load_runs: pending and held timers of a run (the newest batch: timers_pkey)
create index timers_open on timers (run_id) where is_held or status = 'pending';

create table commands (
    id text collate "C" not null,
    namespace text collate "C" not null,
    workflow_id text collate "C" not null,
    run_id text collate "C" not null,
    sequence bigint not null,
    command_type text not null,
    status command_status not null,
    outcome text not null,
    created_at bigint not null,
    target_name text,
    rejection_reason text,
    request_id text,
    payload_codec text,
    payload bytea,
    context bytea,
    applied_at bigint,
    constraint commands_pkey primary key (run_id, sequence)
);

-- find_command: commands that their caller can name
create index commands_by_request on commands (run_id, request_id, sequence)
    where request_id is not null;

create table failures (
    id text collate "C" not null,
    run_id text collate "C" not null,
    source_kind text not null,
    source_id text not null,
    propagation_kind text not null,
    category text not null,
    message text not null,
    created_at bigint not null,
    exception_type text,
    exception_class text,
    non_retryable boolean not null,
    event_sequence bigint,
    constraint failures_pkey primary key (id)
);

-- list_failures_of_run
create index failures_by_run on failures (run_id, created_at, id);

-- No index on the heartbeat: it changes with every touch and would make it non-HOT.
create table worker_registrations (
    namespace text collate "C" not null,
    worker_id text collate "C" not null,
    task_queue text collate "C" not null,
    runtime text not null,
    sdk_version text,
    build_id text collate "C",
    workflow_types bytea not null,
    activity_types bytea not null,
    fingerprints bytea not null,
    max_workflow_tasks integer not null,
    max_activity_tasks integer not null,
    status text not null,
    registered_at bigint not null,
    last_heartbeat_at bigint not null,
    details bytea not null,
    constraint worker_registrations_pkey primary key (namespace, worker_id)
) with (fillfactor = 50);

-- The workers of queues. The queue comes first: without statistics the other order
-- would be as good as the key to find one worker.
create index worker_registrations_queue on worker_registrations (task_queue, namespace);

-- Row types: how a commit carries its rows. A part of the commit statement takes one
-- array of one of these types; one array for each column would cost two to three times
-- as much on either side. `n` is the position of the transition in its batch. A type is
-- never altered, because a node of the previous release encodes it as it was: a column
-- that comes later comes with a new type.

create type instance_row as (
    n integer,
    namespace text,
    workflow_id text,
    workflow_type text,
    current_run_id text,
    run_count integer,
    created_at bigint
);

create type run_row as (
    n integer,
    id text,
    namespace text,
    workflow_id text,
    workflow_type text,
    run_number integer,
    status text,
    task_queue text,
    payload_codec text,
    started_at bigint,
    last_progress_at bigint,
    version bigint,
    last_sequence bigint,
    last_step bigint,
    history_bytes bigint,
    command_sequence bigint,
    closed_reason text,
    closed_at bigint,
    compatibility text,
    priority integer,
    execution_timeout_seconds bigint,
    run_timeout_seconds bigint,
    execution_deadline_at bigint,
    run_deadline_at bigint,
    task_failures integer,
    batch_first bigint,
    batch_size integer,
    batch_resolved_sequence bigint,
    continued_from_run_id text,
    parent_run_id text,
    parent_step bigint,
    inherits_children boolean,
    archived_at bigint,
    definition_fingerprint text,
    deadline_at bigint,
    status_bucket text,
    wakes bytea,
    sibling_of text,
    arguments_codec text,
    arguments bytea,
    output_codec text,
    output bytea,
    memo bytea,
    search_attributes bytea,
    business_key text
);

-- What changes while a run lives. Null in `output` keeps the stored one, and so do the
-- columns after `has_input` while that is false.
create type run_change_row as (
    n integer,
    base_version bigint,
    id text,
    status text,
    task_queue text,
    last_progress_at bigint,
    version bigint,
    last_sequence bigint,
    last_step bigint,
    history_bytes bigint,
    command_sequence bigint,
    closed_reason text,
    closed_at bigint,
    compatibility text,
    priority integer,
    execution_timeout_seconds bigint,
    run_timeout_seconds bigint,
    execution_deadline_at bigint,
    run_deadline_at bigint,
    task_failures integer,
    batch_first bigint,
    batch_size integer,
    batch_resolved_sequence bigint,
    archived_at bigint,
    definition_fingerprint text,
    deadline_at bigint,
    status_bucket text,
    wakes bytea,
    output_codec text,
    output bytea,
    has_input boolean,
    arguments_codec text,
    arguments bytea,
    memo bytea,
    search_attributes bytea,
    business_key text
);

create type event_row as (
    n integer,
    run_id text,
    sequence bigint,
    id text,
    event_type text,
    payload bytea,
    recorded_at bigint,
    has_plain boolean,
    task_id text,
    command_id text
);

create type released_row as (
    n integer,
    run_id text,
    held bigint,
    sequence bigint,
    recorded_at bigint
);

create type task_row as (
    n integer,
    id text,
    run_id text,
    namespace text,
    kind text,
    status text,
    queue text,
    type_name text,
    available_at bigint,
    created_at bigint,
    compatibility text,
    priority integer,
    attempt integer,
    repair_count integer,
    lease_owner text,
    leased_at bigint,
    lease_expires_at bigint,
    snapshot_sequence bigint,
    activity_id text,
    attempt_id text,
    last_error text,
    closed_at bigint,
    definition_fingerprint text,
    resume bytea
);

create type task_change_row as (
    n integer,
    id text,
    status text,
    queue text,
    available_at bigint,
    compatibility text,
    priority integer,
    attempt integer,
    repair_count integer,
    lease_owner text,
    leased_at bigint,
    lease_expires_at bigint,
    snapshot_sequence bigint,
    attempt_id text,
    last_error text,
    closed_at bigint,
    definition_fingerprint text,
    resume bytea
);

create type activity_row as (
    n integer,
    id text,
    run_id text,
    step bigint,
    batch bigint,
    activity_type text,
    status text,
    queue text,
    payload_codec text,
    digest text,
    created_at bigint,
    attempt_count integer,
    schedule_deadline_at bigint,
    close_deadline_at bigint,
    schedule_to_close_deadline_at bigint,
    heartbeat_deadline_at bigint,
    last_heartbeat_at bigint,
    started_at bigint,
    closed_at bigint,
    is_held boolean,
    retry_policy bytea,
    parallel bytea,
    deadline_at bigint,
    arguments_codec text,
    arguments bytea
);

create type activity_change_row as (
    n integer,
    id text,
    status text,
    attempt_count integer,
    schedule_deadline_at bigint,
    close_deadline_at bigint,
    schedule_to_close_deadline_at bigint,
    heartbeat_deadline_at bigint,
    last_heartbeat_at bigint,
    started_at bigint,
    closed_at bigint,
    is_held boolean,
    deadline_at bigint
);

create type run_import_row as (
    n integer,
    run_id text,
    import_source text,
    import_id text,
    import_dedupe_key text,
    import_contract_version integer,
    imported_at bigint
);

create type attempt_row as (
    n integer,
    id text,
    activity_id text,
    task_id text,
    run_id text,
    number integer,
    status text,
    lease_owner text,
    started_at bigint,
    closed_at bigint
);

create type timer_row as (
    n integer,
    id text,
    run_id text,
    step bigint,
    batch bigint,
    status text,
    delay_seconds bigint,
    fire_at bigint,
    task_id text,
    created_at bigint,
    kind text,
    closed_at bigint,
    is_held boolean,
    parallel bytea
);

create type timer_change_row as (
    n integer,
    run_id text,
    step bigint,
    status text,
    fire_at bigint,
    closed_at bigint,
    is_held boolean
);

create type command_row as (
    n integer,
    id text,
    namespace text,
    workflow_id text,
    run_id text,
    sequence bigint,
    command_type text,
    status text,
    outcome text,
    created_at bigint,
    target_name text,
    rejection_reason text,
    request_id text,
    applied_at bigint,
    payload_codec text,
    payload bytea,
    context bytea
);

create type attribute_row as (
    n integer,
    run_id text,
    name text,
    kind text,
    term text,
    namespace text,
    started_at bigint,
    whole bigint,
    number double precision
);

-- `kept`: the terms that stay, as name=kind=term.
create type kept_attributes_row as (
    n integer,
    run_id text,
    kept text[]
);

create type failure_row as (
    n integer,
    id text,
    run_id text,
    source_kind text,
    source_id text,
    propagation_kind text,
    category text,
    message text,
    created_at bigint,
    exception_type text,
    exception_class text,
    non_retryable boolean,
    event_sequence bigint
);

-- Guards of the transitions that have more than one.
create type run_guard as (
    n integer,
    run_id text,
    version bigint
);

-- Without an expiry only the lock is taken, in order, for an update that follows.
create type lease_guard as (
    n integer,
    task_id text,
    lease_expires_at bigint
);

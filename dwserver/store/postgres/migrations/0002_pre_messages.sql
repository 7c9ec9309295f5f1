-- What reaches a run from outside, what it waits for, and its children
-- (spec/engine.md §1, §8, §9). The payload of a message is that of its command.

create domain child_status as text collate "C" check (value in (
    'scheduled', 'started', 'completed',
    'failed', 'cancelled', 'terminated', 'abandoned'
));
create domain parent_close_policy as text collate "C" check (
    value in ('abandon', 'request_cancel', 'terminate')
);
create domain wait_for as text collate "C" check (value in ('condition', 'signal'));
create domain wait_status as text collate "C" check (
    value in ('open', 'satisfied', 'timed_out', 'closed')
);
create domain signal_status as text collate "C" check (
    value in ('received', 'applied', 'rejected')
);
create domain update_status as text collate "C" check (
    value in ('accepted', 'rejected', 'completed', 'failed')
);

-- One row for each child call; the run of the child moves with its retries.
create table children (
    id text not null,
    run_id text collate "C" not null,
    step bigint not null,
    batch bigint not null,
    workflow_type text not null,
    status child_status not null,
    digest text not null,
    child_workflow_id text not null,
    child_run_id text not null,
    created_at bigint not null,
    child_run_number integer not null,
    attempt_count integer not null,
    parent_close_policy parent_close_policy not null,
    closed_at bigint,
    is_held boolean not null,
    retry_policy bytea,
    parallel bytea,
    constraint children_pkey primary key (run_id, step)
) with (
    fillfactor = 70,
    autovacuum_vacuum_scale_factor = 0.05,
    autovacuum_analyze_scale_factor = 0.05
);

-- load_runs, list_open_children: open and held children of a run (the newest batch:
-- children_pkey)
create index children_open on children (run_id)
    where is_held or status in ('scheduled', 'started');

create table waits (
    id text not null,
    run_id text collate "C" not null,
    step bigint not null,
    batch bigint not null,
    wait_for wait_for not null,
    status wait_status not null,
    opened_at bigint not null,
    name text,
    condition_key text,
    fingerprint text,
    timeout_seconds bigint,
    closed_at bigint,
    is_held boolean not null,
    parallel bytea,
    constraint waits_pkey primary key (run_id, step)
) with (
    fillfactor = 70,
    autovacuum_vacuum_scale_factor = 0.05,
    autovacuum_analyze_scale_factor = 0.05
);

-- load_runs: open and held waits of a run (the newest batch: waits_pkey)
create index waits_open on waits (run_id) where is_held or status = 'open';

create table signals (
    id text not null,
    run_id text collate "C" not null,
    command_id text not null,
    sequence bigint not null,
    name text not null,
    wait_id text not null,
    status signal_status not null,
    received_at bigint not null,
    event_sequence bigint not null,
    step bigint,
    applied_at bigint,
    constraint signals_pkey primary key (run_id, sequence)
) with (
    fillfactor = 70,
    autovacuum_vacuum_scale_factor = 0.05,
    autovacuum_analyze_scale_factor = 0.05
);

-- load_runs: the signals of a run that are not applied yet
create index signals_open on signals (run_id, sequence) where status = 'received';

create table updates (
    id text collate "C" not null,
    run_id text collate "C" not null,
    command_id text not null,
    sequence bigint not null,
    name text not null,
    status update_status not null,
    accepted_at bigint not null,
    request_id text,
    event_sequence bigint not null,
    step bigint,
    failure_id text,
    failure_message text,
    applied_at bigint,
    closed_at bigint,
    result_codec text,
    result bytea,
    constraint updates_pkey primary key (run_id, sequence),
    constraint updates_id unique (id, run_id)
) with (
    fillfactor = 70,
    autovacuum_vacuum_scale_factor = 0.05,
    autovacuum_analyze_scale_factor = 0.05
);

-- load_runs: the updates of a run that are not closed yet
create index updates_open on updates (run_id, sequence) where status = 'accepted';

create table search_attribute_definitions (
    namespace text collate "C" not null,
    name text collate "C" not null,
    value_type text not null,
    created_at bigint not null,
    constraint search_attribute_definitions_pkey primary key (namespace, name)
);

-- Row types (see 0001).

create type child_row as (
    n integer,
    id text,
    run_id text,
    step bigint,
    batch bigint,
    workflow_type text,
    status text,
    digest text,
    child_workflow_id text,
    child_run_id text,
    created_at bigint,
    child_run_number integer,
    attempt_count integer,
    parent_close_policy text,
    closed_at bigint,
    is_held boolean,
    retry_policy bytea,
    parallel bytea
);

create type child_change_row as (
    n integer,
    run_id text,
    step bigint,
    status text,
    child_run_id text,
    child_run_number integer,
    attempt_count integer,
    closed_at bigint,
    is_held boolean
);

create type wait_row as (
    n integer,
    id text,
    run_id text,
    step bigint,
    batch bigint,
    wait_for text,
    status text,
    opened_at bigint,
    name text,
    condition_key text,
    fingerprint text,
    timeout_seconds bigint,
    closed_at bigint,
    is_held boolean,
    parallel bytea
);

create type wait_change_row as (
    n integer,
    run_id text,
    step bigint,
    status text,
    closed_at bigint,
    is_held boolean
);

create type signal_row as (
    n integer,
    id text,
    run_id text,
    command_id text,
    sequence bigint,
    name text,
    wait_id text,
    status text,
    received_at bigint,
    event_sequence bigint,
    step bigint,
    applied_at bigint
);

create type signal_change_row as (
    n integer,
    run_id text,
    sequence bigint,
    wait_id text,
    status text,
    event_sequence bigint,
    step bigint,
    applied_at bigint
);

create type update_row as (
    n integer,
    id text,
    run_id text,
    command_id text,
    sequence bigint,
    name text,
    status text,
    accepted_at bigint,
    request_id text,
    event_sequence bigint,
    step bigint,
    failure_id text,
    failure_message text,
    applied_at bigint,
    closed_at bigint,
    result_codec text,
    result bytea
);

create type update_change_row as (
    n integer,
    run_id text,
    sequence bigint,
    status text,
    event_sequence bigint,
    step bigint,
    failure_id text,
    failure_message text,
    applied_at bigint,
    closed_at bigint,
    result_codec text,
    result bytea
);

create type applied_command_row as (
    n integer,
    run_id text,
    sequence bigint,
    outcome text,
    applied_at bigint
);

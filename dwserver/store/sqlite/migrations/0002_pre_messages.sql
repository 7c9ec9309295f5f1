-- What reaches a run from outside, what it waits for, and its children
-- (spec/engine.md §1, §8, §9). The payload of a message is that of its command.

-- One row for each child call; the run of the child moves with its retries.
create table children (
    id text not null,
    run_id text not null,
    step integer not null,
    batch integer not null,
    workflow_type text not null,
    status text not null,
    digest text not null,
    child_workflow_id text not null,
    child_run_id text not null,
    created_at integer not null,
    child_run_number integer not null,
    attempt_count integer not null,
    parent_close_policy text not null,
    closed_at integer,
    is_held integer not null,
    retry_policy blob,
    parallel blob,
    constraint children_pkey primary key (run_id, step),
    constraint children_status check (status in (
        'scheduled', 'started', 'completed',
        'failed', 'cancelled', 'terminated', 'abandoned'
    )),
    constraint children_policy check (
        parent_close_policy in ('abandon', 'request_cancel', 'terminate')
    )
) strict, without rowid;

-- load_runs, list_open_children: open and held children of a run (the newest batch:
-- children_pkey)
create index children_open on children (run_id)
    where is_held or status in ('scheduled', 'started');

create table waits (
    id text not null,
    run_id text not null,
    step integer not null,
    batch integer not null,
    wait_for text not null,
    status text not null,
    opened_at integer not null,
    name text,
    condition_key text,
    fingerprint text,
    timeout_seconds integer,
    closed_at integer,
    is_held integer not null,
    parallel blob,
    constraint waits_pkey primary key (run_id, step),
    constraint waits_for check (wait_for in ('condition', 'signal')),
    constraint waits_status check (
        status in ('open', 'satisfied', 'timed_out', 'closed')
    )
) strict, without rowid;

-- load_runs: open and held waits of a run (the newest batch: waits_pkey)
create index waits_open on waits (run_id) where is_held or status = 'open';

create table signals (
    id text not null,
    run_id text not null,
    command_id text not null,
    sequence integer not null,
    name text not null,
    wait_id text not null,
    status text not null,
    received_at integer not null,
    event_sequence integer not null,
    step integer,
    applied_at integer,
    constraint signals_pkey primary key (run_id, sequence),
    constraint signals_status check (status in ('received', 'applied', 'rejected'))
) strict, without rowid;

-- load_runs: the signals of a run that are not applied yet
create index signals_open on signals (run_id, sequence) where status = 'received';

create table updates (
    id text not null,
    run_id text not null,
    command_id text not null,
    sequence integer not null,
    name text not null,
    status text not null,
    accepted_at integer not null,
    request_id text,
    event_sequence integer not null,
    step integer,
    failure_id text,
    failure_message text,
    applied_at integer,
    closed_at integer,
    result_codec text,
    result blob,
    constraint updates_pkey primary key (run_id, sequence),
    constraint updates_id unique (id, run_id),
    constraint updates_status check (
        status in ('accepted', 'rejected', 'completed', 'failed')
    )
) strict;

-- load_runs: the updates of a run that are not closed yet
create index updates_open on updates (run_id, sequence) where status = 'accepted';

create table search_attribute_definitions (
    namespace text not null,
    name text not null,
    value_type text not null,
    created_at integer not null,
    constraint search_attribute_definitions_pkey primary key (namespace, name)
) strict, without rowid;

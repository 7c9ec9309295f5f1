-- The rows that a run needs, with the keys and indexes that a real server reads by.
create table instance (
    namespace text not null,
    id text not null,
    run_id text not null,
    primary key (namespace, id)
);

create table run (
    id text primary key,
    namespace text not null,
    workflow_id text not null,
    type text not null,
    queue text not null,
    status text not null,
    last_sequence int not null,
    started_at timestamptz not null default now(),
    closed_at timestamptz,
    result bytea
) with (fillfactor = 70);
create index run_list on run (namespace, started_at desc, id);

create table event (
    run_id text not null,
    sequence int not null,
    id text not null,
    type text not null,
    payload bytea not null,
    recorded_at timestamptz not null default now(),
    primary key (run_id, sequence)
);

create table task (
    id text primary key,
    run_id text not null,
    queue text not null,
    kind text not null,
    status text not null,
    ready_at timestamptz,
    lease_owner text,
    lease_expires_at timestamptz,
    attempt int not null
) with (fillfactor = 70);
create index task_ready on task (queue, kind, ready_at) where ready_at is not null;
create index task_run on task (run_id);

create table activity (
    id text primary key,
    run_id text not null,
    type text not null,
    status text not null,
    arguments bytea,
    result bytea,
    attempt_id text,
    attempts int not null default 0
) with (fillfactor = 70);
create index activity_run on activity (run_id);

create table attempt (
    id text primary key,
    activity_id text not null,
    status text not null,
    lease_owner text,
    started_at timestamptz not null default now(),
    closed_at timestamptz
) with (fillfactor = 70);

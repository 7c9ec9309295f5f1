-- Schedules (spec/scheduling-and-maintenance.md §1, §2.10).

create table schedules (
    id text collate "C" not null,
    namespace text collate "C" not null,
    schedule_id text collate "C" not null,
    version bigint not null,
    status text not null,
    spec bytea not null,
    action bytea not null,
    workflow_type text not null,
    overlap_policy text not null,
    note text,
    memo bytea,
    search_attributes bytea,
    jitter_seconds bigint not null,
    max_runs bigint,
    remaining_actions bigint,
    fires_count bigint not null,
    failures_count bigint not null,
    skipped_trigger_count bigint not null,
    recent_actions bytea not null,
    buffered_actions bytea,
    last_event_sequence bigint not null,
    last_fired_at bigint,
    next_fire_at bigint,
    last_skipped_at bigint,
    last_skip_reason text,
    latest_workflow_id text collate "C",
    paused_at bigint,
    deleted_at bigint,
    created_at bigint not null,
    updated_at bigint not null,
    constraint schedules_pkey primary key (id),
    constraint schedules_status check (status in ('active', 'paused', 'deleted'))
) with (fillfactor = 70);

-- find a schedule by its public id, which a deleted schedule gives back (decision 11)
create unique index schedules_by_public_id on schedules (namespace, schedule_id)
    where status <> 'deleted';
-- list_due_schedules
create index schedules_due on schedules (next_fire_at, id)
    where status = 'active' and next_fire_at is not null;

-- list_buffering_schedules
create index schedules_buffering on schedules (id)
    where status = 'active' and buffered_actions is not null;
-- list_schedules, summarise_schedules
create index schedules_list on schedules (namespace, created_at, id)
    where deleted_at is null;
-- find_any_schedule: the newest of a public id, deleted or not
create index schedules_history on schedules (namespace, schedule_id, created_at);

-- What a schedule has fired, once for each kind of fire and nominal time (decision 24).
create table schedule_occurrences (
    schedule_id text collate "C" not null,
    kind text collate "C" not null,
    nominal_at bigint not null,
    workflow_id text not null,
    run_id text not null,
    recorded_at bigint not null,
    constraint schedule_occurrences_pkey primary key (schedule_id, kind, nominal_at),
    constraint schedule_occurrences_kind check (kind in ('tick', 'backfill', 'manual'))
);

create table schedule_events (
    schedule_id text collate "C" not null,
    sequence bigint not null,
    id text collate "C" not null,
    event_type text not null,
    payload bytea not null,
    workflow_id text,
    run_id text,
    recorded_at bigint not null,
    constraint schedule_events_pkey primary key (schedule_id, sequence)
);

create type schedule_row as (
    n integer,
    id text,
    namespace text,
    schedule_id text,
    version bigint,
    status text,
    overlap_policy text,
    jitter_seconds bigint,
    created_at bigint,
    updated_at bigint,
    note text,
    max_runs bigint,
    remaining_actions bigint,
    fires_count bigint,
    failures_count bigint,
    skipped_trigger_count bigint,
    last_event_sequence bigint,
    last_fired_at bigint,
    next_fire_at bigint,
    last_skipped_at bigint,
    last_skip_reason text,
    latest_workflow_id text,
    paused_at bigint,
    deleted_at bigint,
    workflow_type text,
    spec bytea,
    action bytea,
    memo bytea,
    search_attributes bytea,
    recent_actions bytea,
    buffered_actions bytea
);

create type schedule_event_row as (
    n integer,
    schedule_id text,
    id text,
    sequence bigint,
    event_type text,
    payload bytea,
    recorded_at bigint,
    workflow_id text,
    run_id text
);

create type occurrence_row as (
    n integer,
    schedule_id text,
    kind text,
    nominal_at bigint,
    workflow_id text,
    run_id text,
    recorded_at bigint
);

create type schedule_guard as (
    n integer,
    id text,
    version bigint
);

create type term_guard as (
    n integer,
    name text,
    term bigint
);

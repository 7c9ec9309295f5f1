-- Schedules (spec/scheduling-and-maintenance.md §1, §2.10).

create table schedules (
    id text not null,
    namespace text not null,
    schedule_id text not null,
    version integer not null,
    status text not null,
    spec blob not null,
    action blob not null,
    workflow_type text not null,
    overlap_policy text not null,
    note text,
    memo blob,
    search_attributes blob,
    jitter_seconds integer not null,
    max_runs integer,
    remaining_actions integer,
    fires_count integer not null,
    failures_count integer not null,
    skipped_trigger_count integer not null,
    recent_actions blob not null,
    buffered_actions blob,
    last_event_sequence integer not null,
    last_fired_at integer,
    next_fire_at integer,
    last_skipped_at integer,
    last_skip_reason text,
    latest_workflow_id text,
    paused_at integer,
    deleted_at integer,
    created_at integer not null,
    updated_at integer not null,
    constraint schedules_pkey primary key (id),
    constraint schedules_status check (status in ('active', 'paused', 'deleted'))
) strict;

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
    schedule_id text not null,
    kind text not null,
    nominal_at integer not null,
    workflow_id text not null,
    run_id text not null,
    recorded_at integer not null,
    constraint schedule_occurrences_pkey primary key (schedule_id, kind, nominal_at),
    constraint schedule_occurrences_kind check (kind in ('tick', 'backfill', 'manual'))
) strict;

create table schedule_events (
    schedule_id text not null,
    sequence integer not null,
    id text not null,
    event_type text not null,
    payload blob not null,
    workflow_id text,
    run_id text,
    recorded_at integer not null,
    constraint schedule_events_pkey primary key (schedule_id, sequence)
) strict;

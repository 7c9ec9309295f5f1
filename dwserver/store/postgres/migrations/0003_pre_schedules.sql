-- Schedules (spec/scheduling-and-maintenance.md §1, §2.10).

create table schedules (
    id text collate "C" not null,
    namespace text collate "C" not null,
    schedule_id text collate "C" not null,
    version bigint not null,
    status text not null,
    spec bytea not null,
    action bytea not null,
    overlap_policy text not null,
    note text,
    memo bytea,
    search_attributes bytea,
    visibility_labels bytea,
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
    latest_workflow_id text,
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
-- schedules that are due
create index schedules_due on schedules (next_fire_at, id)
    where status = 'active' and next_fire_at is not null;

create table schedule_occurrences (
    schedule_id text collate "C" not null,
    nominal_at bigint not null,
    workflow_id text,
    run_id text,
    outcome text not null,
    recorded_at bigint not null,
    constraint schedule_occurrences_pkey primary key (schedule_id, nominal_at)
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

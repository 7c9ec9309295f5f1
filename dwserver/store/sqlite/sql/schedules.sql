-- Schedules: what a commit writes of them, its guards, and the reads
-- (dwserver/store/sqlite/schedules.py).

-- name: insert_schedules
-- New schedules.
insert into schedules (
    id,
    namespace,
    schedule_id,
    version,
    status,
    overlap_policy,
    jitter_seconds,
    created_at,
    updated_at,
    note,
    max_runs,
    remaining_actions,
    fires_count,
    failures_count,
    skipped_trigger_count,
    last_event_sequence,
    last_fired_at,
    next_fire_at,
    last_skipped_at,
    last_skip_reason,
    latest_workflow_id,
    paused_at,
    deleted_at,
    workflow_type,
    spec,
    action,
    memo,
    search_attributes,
    recent_actions,
    buffered_actions
)
values {rows}

-- name: update_schedules
-- Schedules as they are after the transition.
with x (
    id,
    namespace,
    schedule_id,
    version,
    status,
    overlap_policy,
    jitter_seconds,
    created_at,
    updated_at,
    note,
    max_runs,
    remaining_actions,
    fires_count,
    failures_count,
    skipped_trigger_count,
    last_event_sequence,
    last_fired_at,
    next_fire_at,
    last_skipped_at,
    last_skip_reason,
    latest_workflow_id,
    paused_at,
    deleted_at,
    workflow_type,
    spec,
    action,
    memo,
    search_attributes,
    recent_actions,
    buffered_actions
) as (values {rows})
update schedules as t
set
    version = x.version,
    status = x.status,
    overlap_policy = x.overlap_policy,
    jitter_seconds = x.jitter_seconds,
    updated_at = x.updated_at,
    note = x.note,
    max_runs = x.max_runs,
    remaining_actions = x.remaining_actions,
    fires_count = x.fires_count,
    failures_count = x.failures_count,
    skipped_trigger_count = x.skipped_trigger_count,
    last_event_sequence = x.last_event_sequence,
    last_fired_at = x.last_fired_at,
    next_fire_at = x.next_fire_at,
    last_skipped_at = x.last_skipped_at,
    last_skip_reason = x.last_skip_reason,
    latest_workflow_id = x.latest_workflow_id,
    paused_at = x.paused_at,
    deleted_at = x.deleted_at,
    workflow_type = x.workflow_type,
    spec = x.spec,
    action = x.action,
    memo = x.memo,
    search_attributes = x.search_attributes,
    recent_actions = x.recent_actions,
    buffered_actions = x.buffered_actions
from x
where t.id = x.id

-- name: insert_occurrences
-- What schedules have fired.
insert into schedule_occurrences (
    kind,
    nominal_at,
    workflow_id,
    run_id,
    recorded_at,
    schedule_id
)
values {rows}

-- name: insert_schedule_events
-- Append to audit histories.
insert into schedule_events (
    id,
    sequence,
    event_type,
    payload,
    recorded_at,
    workflow_id,
    run_id,
    schedule_id
)
values {rows}

-- name: list_leader_terms
-- Terms of the leaderships that transitions are guarded by; $1: array of names.
select
    name,
    term
from leader_leases
where name in (select value from json_each($1))

-- name: list_schedule_versions
-- Versions of the schedules that transitions are guarded by; $1: array of ids.
select
    id,
    version
from schedules
where id in (select value from json_each($1))

-- name: list_taken_schedules
-- Which public ids are taken; $1: array of pairs of namespace and id.
select
    s.namespace,
    s.schedule_id
from json_each($1) k
join schedules s
on s.namespace = k.value ->> 0
and s.schedule_id = k.value ->> 1
where s.status <> 'deleted'

-- name: list_recorded_occurrences
-- What has been fired; $1: array of schedule id, kind and nominal time.
select
    o.schedule_id,
    o.kind,
    o.nominal_at
from json_each($1) k
join schedule_occurrences o
on o.schedule_id = k.value ->> 0
and o.kind = k.value ->> 1
and o.nominal_at = k.value ->> 2

-- name: list_schedules
-- A page of a namespace, the newest first.
select {schedule}
from schedules s
where s.namespace = $1
and s.deleted_at is null
and (s.created_at, s.id) < ($2, $3)
and ($5 is null or s.status = $5)
and ($6 is null or s.workflow_type = $6)
order by s.created_at desc, s.id desc
limit $4

-- name: summarise_schedules
-- Figures of a namespace.
select
    count(*) filter (where s.status = 'active') as active,
    count(*) filter (where s.status = 'paused') as paused,
    count(*) filter (where s.status = 'active' and s.next_fire_at <= $2) as missed,
    min(s.next_fire_at)
        filter (where s.status = 'active' and s.next_fire_at <= $2)
        as oldest_overdue_at,
    coalesce(sum(s.fires_count) filter (where s.status = 'active'), 0)
        as fires_total,
    coalesce(sum(s.failures_count) filter (where s.status = 'active'), 0)
        as failures_total
from schedules s
where s.deleted_at is null
and s.namespace = $1

-- name: summarise_all_schedules
-- Figures of all namespaces.
select
    count(*) filter (where s.status = 'active') as active,
    count(*) filter (where s.status = 'paused') as paused,
    count(*) filter (where s.status = 'active' and s.next_fire_at <= $1) as missed,
    min(s.next_fire_at)
        filter (where s.status = 'active' and s.next_fire_at <= $1)
        as oldest_overdue_at,
    coalesce(sum(s.fires_count) filter (where s.status = 'active'), 0)
        as fires_total,
    coalesce(sum(s.failures_count) filter (where s.status = 'active'), 0)
        as failures_total
from schedules s
where s.deleted_at is null

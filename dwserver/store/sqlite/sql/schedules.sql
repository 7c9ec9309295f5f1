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

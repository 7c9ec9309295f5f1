-- Schedules: what a commit writes of them, its guards, and the reads
-- (dwserver/store/postgres/schedules.py).

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
select
    x.id,
    x.namespace,
    x.schedule_id,
    x.version,
    x.status,
    x.overlap_policy,
    x.jitter_seconds,
    x.created_at,
    x.updated_at,
    x.note,
    x.max_runs,
    x.remaining_actions,
    x.fires_count,
    x.failures_count,
    x.skipped_trigger_count,
    x.last_event_sequence,
    x.last_fired_at,
    x.next_fire_at,
    x.last_skipped_at,
    x.last_skip_reason,
    x.latest_workflow_id,
    x.paused_at,
    x.deleted_at,
    x.workflow_type,
    x.spec,
    x.action,
    x.memo,
    x.search_attributes,
    x.recent_actions,
    x.buffered_actions
from unnest($1::schedule_row[]) x
where {applies}

-- name: update_schedules
-- Schedules as they are after the transition.
update schedules s
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
from unnest($1::schedule_row[]) x
where s.id = x.id
and {applies}

-- name: insert_occurrences
-- What schedules have fired.
insert into schedule_occurrences (
    schedule_id,
    kind,
    nominal_at,
    workflow_id,
    run_id,
    recorded_at
)
select
    x.schedule_id,
    x.kind,
    x.nominal_at,
    x.workflow_id,
    x.run_id,
    x.recorded_at
from unnest($1::occurrence_row[]) x
where {applies}

-- name: insert_schedule_events
-- Append to audit histories.
insert into schedule_events (
    schedule_id,
    id,
    sequence,
    event_type,
    payload,
    recorded_at,
    workflow_id,
    run_id
)
select
    x.schedule_id,
    x.id,
    x.sequence,
    x.event_type,
    x.payload,
    x.recorded_at,
    x.workflow_id,
    x.run_id
from unnest($1::schedule_event_row[]) x
where {applies}

-- name: list_leader_terms
-- The guarded transitions whose leadership is in the expected term; nobody takes it
-- over before they are committed.
select g.n
from unnest($1::term_guard[]) g
join leader_leases l on l.name = g.name
where l.term = g.term
order by l.name
for share of l

-- name: list_schedule_versions
-- The guarded transitions whose schedule has the expected version.
select g.n
from unnest($1::schedule_guard[]) g
join schedules s on s.id = g.id
where s.version = g.version
order by s.id
for no key update of s

-- name: list_taken_schedules
-- The transitions that create a schedule whose public id is taken.
select x.n
from unnest($1::schedule_row[]) x
where exists (
    select 1
    from schedules s
    where s.namespace = x.namespace
    and s.schedule_id = x.schedule_id
    and s.status <> 'deleted'
)

-- name: list_recorded_occurrences
-- The transitions that fire what has been fired.
select x.n
from unnest($1::occurrence_row[]) x
where exists (
    select 1
    from schedule_occurrences o
    where o.schedule_id = x.schedule_id
    and o.kind = x.kind
    and o.nominal_at = x.nominal_at
)

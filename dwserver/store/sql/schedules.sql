-- Schedules: single ones, what is due, and their audit history.

-- name: find_schedule
-- One by its public id, unless it is deleted.
select {schedule}
from schedules s
where s.namespace = $1
and s.schedule_id = $2
and s.status <> 'deleted'

-- name: find_any_schedule
-- The newest of a public id, deleted or not.
select {schedule}
from schedules s
where s.namespace = $1
and s.schedule_id = $2
order by s.created_at desc
limit 1

-- name: list_due_schedules
-- Active schedules that are due, the earliest first, with the current run of the
-- workflow that each started last.
select
{schedule},
r.id as latest_run_id,
r.status_bucket as latest_bucket
from schedules s
left join instances i on i.namespace = s.namespace
    and i.workflow_id = s.latest_workflow_id
left join runs r on r.id = i.current_run_id
where s.status = 'active'
and s.next_fire_at <= $1
order by s.next_fire_at, s.id
limit $2

-- name: list_buffering_schedules
-- A page by id of active schedules with buffered fires whose latest workflow is not
-- open.
select {schedule}
from schedules s
left join instances i on i.namespace = s.namespace
    and i.workflow_id = s.latest_workflow_id
left join runs r on r.id = i.current_run_id
where s.status = 'active'
and s.buffered_actions is not null
and s.id > $1
and coalesce(r.status_bucket, 'completed') <> 'running'
order by s.id
limit $2

-- name: list_schedule_events
-- A page of an audit history.
select
    e.id,
    e.sequence,
    e.event_type,
    e.payload,
    e.recorded_at,
    e.workflow_id,
    e.run_id
from schedule_events e
where e.schedule_id = $1
and e.sequence > $2
order by e.sequence
limit $3

-- name: list_schedules
-- A page of a namespace, the newest first.
select {schedule}
from schedules s
where s.namespace = $1
and s.deleted_at is null
and (s.created_at, s.id) < ($2, $3)
and (cast($5 as text) is null or s.status = $5)
and (cast($6 as text) is null or s.workflow_type = $6)
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
    cast(coalesce(sum(s.fires_count) filter (where s.status = 'active'), 0) as bigint)
        as fires_total,
    cast(coalesce(sum(s.failures_count) filter (where s.status = 'active'), 0) as bigint)
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
    cast(coalesce(sum(s.fires_count) filter (where s.status = 'active'), 0) as bigint)
        as fires_total,
    cast(coalesce(sum(s.failures_count) filter (where s.status = 'active'), 0) as bigint)
        as failures_total
from schedules s
where s.deleted_at is null

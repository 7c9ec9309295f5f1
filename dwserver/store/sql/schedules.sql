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
-- Active schedules with buffered fires whose latest workflow is not open.
select {schedule}
from schedules s
left join instances i on i.namespace = s.namespace
    and i.workflow_id = s.latest_workflow_id
left join runs r on r.id = i.current_run_id
where s.status = 'active'
and s.buffered_actions is not null
and coalesce(r.status_bucket, 'completed') <> 'running'
order by s.id
limit $1

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

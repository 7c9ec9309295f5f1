-- What is due: timers, activities, runs and leases.

-- name: list_due_timers
-- Timers to fire, the longest overdue first.
select
    m.run_id,
    m.step,
    m.fire_at
from timers m
where m.status = 'pending'
and not m.is_held
and m.fire_at <= $1
order by m.fire_at, m.run_id, m.step
limit $2

-- name: list_due_activities
-- Open activities that have timed out, unless renewals moved their heartbeat meanwhile.
select
    a.run_id,
    a.step,
    a.deadline_at
from activities a
where a.deadline_at <= $1
order by a.deadline_at, a.run_id, a.step
limit $2

-- name: list_expired_activities
-- Open activities with a deadline that has passed. The index has the first deadline as
-- of the last write of the row; only that of the heartbeat moves later.
select
    a.id as activity_id,
    a.run_id,
    a.step
from activities a
where a.deadline_at <= $1
and (
    a.schedule_to_close_deadline_at <= $1
    or (a.status = 'pending' and a.schedule_deadline_at <= $1)
    or (
        a.status = 'running'
        and (a.heartbeat_deadline_at <= $1 or a.close_deadline_at <= $1)
    )
)
order by a.deadline_at, a.run_id, a.step
limit $2

-- name: list_due_runs
-- Open runs that have timed out, the longest overdue first.
select
    r.id as run_id,
    r.deadline_at
from runs r
where r.deadline_at <= $1
and r.status_bucket = 'running'
order by r.deadline_at, r.id
limit $2

-- name: list_expired_leases
-- Leases that have run out, the oldest first.
select
    t.id,
    t.run_id,
    t.kind,
    t.lease_expires_at
from tasks t
where t.status = 'leased'
and t.lease_expires_at <= $1
order by t.lease_expires_at, t.id
limit $2

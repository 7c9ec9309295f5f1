-- What operators see of a task queue. Ready tasks are counted up to a bound ($5, for
-- each kind): a queue with more of them has a long backlog, however long.

-- name: count_ready_of_queue
-- Due tasks of a queue by kind, those that were due before $4, and the oldest.
select
    w.kind,
    count(*) as ready,
    count(*) filter (where w.ready_at <= $4) as overdue,
    min(w.ready_at) as oldest_ready_at
from (
    select workflow_tasks.kind, workflow_tasks.ready_at from (
        select t.kind, t.ready_at
        from tasks t
        where t.namespace = $1
        and t.queue = $2
        and t.kind = 'workflow'
        and t.ready_at is not null
        and t.ready_at <= $3
        limit $5
    ) workflow_tasks
    union all
    select activity_tasks.kind, activity_tasks.ready_at from (
        select t.kind, t.ready_at
        from tasks t
        where t.namespace = $1
        and t.queue = $2
        and t.kind = 'activity'
        and t.ready_at is not null
        and t.ready_at <= $3
        limit $5
    ) activity_tasks
) w
group by w.kind

-- name: find_oldest_ready_of_queue
-- The task that was due first among the next $4 of a kind ($5) that workers get.
select
    w.id,
    w.kind,
    w.run_id,
    r.workflow_id,
    w.ready_at
from (
    select t.id, t.kind, t.run_id, t.ready_at
    from tasks t
    where t.namespace = $1
    and t.queue = $2
    and t.kind = $5
    and t.ready_at is not null
    and t.ready_at <= $3
    order by t.priority, t.ready_at, t.id
    limit $4
) w
join runs r on r.id = w.run_id
order by w.ready_at, w.id
limit 1

-- name: count_leases_of_queue
-- Leased tasks of a queue by kind, those whose lease is over, and the first to end.
select
    t.kind,
    count(*) as leased,
    count(*) filter (where t.lease_expires_at <= $3) as expired,
    min(t.lease_expires_at) as oldest_expiry
from tasks t
where t.status = 'leased'
and t.namespace = $1
and t.queue = $2
group by t.kind

-- name: list_leases_of_queue
-- Leased tasks of a queue, those whose lease is over first.
select
    t.id,
    t.kind,
    t.run_id,
    r.workflow_id,
    t.lease_owner,
    t.lease_expires_at,
    t.attempt,
    t.attempt_id
from tasks t
join runs r on r.id = t.run_id
where t.status = 'leased'
and t.namespace = $1
and t.queue = $2
order by (t.lease_expires_at <= $3) desc, t.id
limit $4

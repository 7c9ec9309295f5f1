-- What operators see of task queues. Every block reads one range of an index, up to a
-- bound; what lies behind the bound is not counted.

-- name: list_queues
-- The first $3 queues of a namespace with a ready task, a leased one or a worker among
-- $2, or one of the last $4 tasks of all namespaces.
with recursive ready (queue, n) as (
    select
        min(t.queue),
        1
    from tasks t
    where t.namespace = $1
    and t.ready_at is not null
    union all
    select
        (
            select min(t.queue)
            from tasks t
            where t.namespace = $1
            and t.ready_at is not null
            and t.queue > ready.queue
        ),
        ready.n + 1
    from ready
    where ready.queue is not null
    and ready.n < $3
)
select w.queue
from (
    select ready.queue from ready
    union
    select k.task_queue
    from (
        select s.task_queue
        from worker_registrations s
        where s.namespace = $1
        limit $2
    ) k
    union
    select k.queue
    from (
        select t.queue
        from tasks t
        where t.status = 'leased'
        and t.namespace = $1
        limit $2
    ) k
    union
    select k.queue
    from (
        select
            t.namespace,
            t.queue
        from tasks t
        order by t.id desc
        limit $4
    ) k
    where k.namespace = $1
) w
where w.queue is not null
order by w.queue
limit $3

-- name: count_ready_tasks
-- Ready tasks of a namespace, due or not, up to $2.
select count(*) as tasks
from (
    select t.queue
    from tasks t
    where t.namespace = $1
    and t.ready_at is not null
    limit $2
) w

-- name: count_leases_of_queues
-- Leased tasks of a namespace by queue and kind, those whose lease is over ($3), and
-- the first to end.
select
    w.queue,
    w.kind,
    count(*) as leased,
    count(*) filter (where w.lease_expires_at <= $3) as expired,
    min(w.lease_expires_at) as oldest_expiry
from (
    select
        t.queue,
        t.kind,
        t.lease_expires_at
    from tasks t
    where t.status = 'leased'
    and t.namespace = $1
    limit $2
) w
group by w.queue, w.kind

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

-- name: list_workers_of_queue
-- The first $4 of $5 registrations of a queue, by id; those heard of at $3 or before
-- last.
select {worker}
from (
    select *
    from worker_registrations s
    where s.namespace = $1
    and s.task_queue = $2
    limit $5
) worker_registrations
order by last_heartbeat_at <= $3, worker_id
limit $4

-- name: count_workers_of_queues
-- Registrations by queue, of $2 that are looked at; those heard of at $1 or before are
-- stale.
select
    w.task_queue as queue,
    count(*) filter (where w.is_live and w.status <> 'draining') as active,
    count(*) filter (where w.is_live and w.status = 'draining') as draining,
    count(*) filter (where not w.is_live) as stale,
    coalesce(
        sum(w.max_workflow_tasks) filter (where w.is_live and w.status <> 'draining'),
        0
    ) as workflow_slots,
    coalesce(
        sum(w.max_activity_tasks) filter (where w.is_live and w.status <> 'draining'),
        0
    ) as activity_slots
from (
    select
        s.task_queue,
        s.status,
        s.max_workflow_tasks,
        s.max_activity_tasks,
        s.last_heartbeat_at > $1 as is_live
    from {registrations_of_queues}
    limit $2
) w
group by w.task_queue

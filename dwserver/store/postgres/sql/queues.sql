-- What operators see of several task queues ($2) of a namespace.

-- name: count_ready_of_queues
-- Due tasks by queue and kind, those that were due before $4, and the oldest; $5 ready
-- ones of each are looked at.
select
    q.queue,
    k.kind,
    w.ready,
    w.overdue,
    w.oldest_ready_at
from unnest($2::text[]) q(queue)
cross join (values ('workflow'::task_kind), ('activity'::task_kind)) k(kind)
cross join lateral (
    select
        count(*) filter (where x.ready_at <= $3) as ready,
        count(*) filter (where x.ready_at <= $4) as overdue,
        min(x.ready_at) filter (where x.ready_at <= $3) as oldest_ready_at
    from (
        select t.ready_at
        from tasks t
        where t.namespace = $1
        and t.queue = q.queue
        and t.kind = k.kind
        and t.ready_at is not null
        order by t.priority, t.ready_at, t.id
        limit $5
    ) x
) w
where w.ready > 0

-- name: find_oldest_ready_of_queues
-- By queue and kind the task that was due first among the next $4 that workers get.
select
    q.queue,
    k.kind,
    w.id,
    w.run_id,
    r.workflow_id,
    w.ready_at
from unnest($2::text[]) q(queue)
cross join (values ('workflow'::task_kind), ('activity'::task_kind)) k(kind)
cross join lateral (
    select
        x.id,
        x.run_id,
        x.ready_at
    from (
        select
            t.id,
            t.run_id,
            t.ready_at
        from tasks t
        where t.namespace = $1
        and t.queue = q.queue
        and t.kind = k.kind
        and t.ready_at is not null
        order by t.priority, t.ready_at, t.id
        limit $4
    ) x
    where x.ready_at <= $3
    order by x.ready_at, x.id
    limit 1
) w
join runs r on r.id = w.run_id

-- name: count_workers_of_queues
-- Registrations by queue ($1: the namespace of each), of $4 that are looked at; those
-- heard of at $3 or before are stale.
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
        s.last_heartbeat_at > $3 as is_live
    from unnest($1::text[], $2::text[]) q(namespace, queue)
    join worker_registrations s on s.namespace = q.namespace
    and s.task_queue = q.queue
    limit $4
) w
group by w.task_queue

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

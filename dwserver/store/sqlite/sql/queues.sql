-- What operators see of several task queues of a namespace ($2: array of names).

-- name: count_ready_of_queues
-- Due tasks by queue and kind, those that were due before $4, and the oldest; $5 ready
-- ones of each are looked at.
with x (queue, kind, figures) as (
    select
        h.value,
        k.kind,
        (
            select json_array(
                count(*) filter (where w.ready_at <= $3),
                count(*) filter (where w.ready_at <= $4),
                min(w.ready_at) filter (where w.ready_at <= $3)
            )
            from (
                select t.ready_at
                from tasks t
                where t.namespace = $1
                and t.queue = h.value
                and t.kind = k.kind
                and t.ready_at is not null
                order by t.priority, t.ready_at, t.id
                limit $5
            ) w
        )
    from json_each($2) h
    cross join (select 'workflow' as kind union all select 'activity') k
)
select
    x.queue,
    x.kind,
    x.figures ->> 0 as ready,
    x.figures ->> 1 as overdue,
    x.figures ->> 2 as oldest_ready_at
from x
where x.figures ->> 0 > 0

-- name: find_oldest_ready_of_queues
-- By queue and kind the task that was due first among the next $4 that workers get.
select
    x.queue,
    x.kind,
    t.id,
    t.run_id,
    r.workflow_id,
    t.ready_at
from (
    select
        h.value as queue,
        k.kind,
        (
            select w.id
            from (
                select
                    t.id,
                    t.ready_at
                from tasks t
                where t.namespace = $1
                and t.queue = h.value
                and t.kind = k.kind
                and t.ready_at is not null
                order by t.priority, t.ready_at, t.id
                limit $4
            ) w
            where w.ready_at <= $3
            order by w.ready_at, w.id
            limit 1
        ) as id
    from json_each($2) h
    cross join (select 'workflow' as kind union all select 'activity') k
) x
join tasks t on t.id = x.id
join runs r on r.id = t.run_id

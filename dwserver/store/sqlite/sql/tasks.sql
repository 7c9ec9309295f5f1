-- Set operations on tasks, leases and timers.

-- name: list_ready_tasks
-- Candidates for a claim from one queue, in the order of claims. With $6 and $7: those
-- of runs without a definition, with one of these, or of these types.
select
    namespace,
    queue,
    kind,
    id,
    run_id,
    type_name,
    compatibility,
    available_at,
    definition_fingerprint
from tasks
where namespace = $1
and queue = $2
and kind = $3
and ready_at is not null
and ready_at <= $4
and (
    $6 is null
    or definition_fingerprint is null
    or definition_fingerprint in (select value from json_each($6))
    or type_name in (select value from json_each($7))
)
order by priority, ready_at, id
limit $5

-- name: find_activities
-- Activities by their ids, open or closed.
select
    id as activity_id,
    run_id,
    step
from activities
where id in (select value from json_each($1))

-- name: find_waiting_queue
-- A queue with a ready task that was due before $1. The first task of each queue, kind
-- and priority is looked at, so that its length does not count.
with recursive heads(id) as (
    select (
        select id
        from tasks
        where ready_at is not null
        order by namespace, queue, kind, priority, ready_at, id
        limit 1
    )
    union all
    select (
        select n.id
        from tasks n
        where n.ready_at is not null
        and (n.namespace, n.queue, n.kind, n.priority)
            > (t.namespace, t.queue, t.kind, t.priority)
        order by n.namespace, n.queue, n.kind, n.priority, n.ready_at, n.id
        limit 1
    )
    from heads h
    join tasks t on t.id = h.id
)
select
    t.namespace,
    t.queue,
    t.kind
from heads h
join tasks t on t.id = h.id
where t.ready_at < $1
limit 1

-- name: list_held_leases
-- Which renewals find their lease held; $1: array of renewals.
select k.key as position
from json_each($1) k
join tasks t on t.id = k.value ->> 'task_id'
where t.status = 'leased'
and t.lease_owner = k.value ->> 'owner'
and (k.value ->> 'attempt' is null or t.attempt = k.value ->> 'attempt')
and (k.value ->> 'attempt_id' is null or t.attempt_id = k.value ->> 'attempt_id')

-- name: renew_leases
-- Move the expiry of leases.
with x (
    task_id,
    lease_expires_at
) as (values {rows})
update tasks as t
set lease_expires_at = x.lease_expires_at
from x
where t.id = x.task_id

-- name: renew_heartbeats
-- Move the heartbeat of the activities whose leases were renewed.
with x (
    activity_id,
    heartbeat_deadline_at,
    last_heartbeat_at
) as (values {rows})
update activities as t
set
    heartbeat_deadline_at = x.heartbeat_deadline_at,
    last_heartbeat_at = x.last_heartbeat_at
from x
where t.id = x.activity_id

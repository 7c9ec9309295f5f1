-- Set operations on tasks, leases and timers. The three parts of a renewal are one
-- statement (dwserver/store/postgres/task_sets.py). `(…) is true` keeps a condition away
-- from the indexes: on a table without statistics any index looks as good as the key.

-- name: list_ready_tasks
-- Candidates for claims, for each queue by priority, age and id. Of a queue that has
-- $6 and $7: those of runs without a definition, with one of these, or of these types.
select
    k.n,
    t.id,
    t.run_id,
    t.type_name,
    t.compatibility,
    t.available_at,
    t.definition_fingerprint
from unnest($1::text[], $2::text[], $3::text[], $6::jsonb[], $7::jsonb[])
    with ordinality k(namespace, queue, kind, fingerprints, types, n)
cross join lateral (
    select
        c.id,
        c.run_id,
        c.type_name,
        c.compatibility,
        c.available_at,
        c.definition_fingerprint,
        c.priority
    from tasks c
    where c.namespace = k.namespace
    and c.queue = k.queue
    and c.kind = k.kind
    and c.ready_at is not null
    and c.ready_at <= $4
    and (
        k.fingerprints is null
        or c.definition_fingerprint is null
        or k.fingerprints ? c.definition_fingerprint
        or k.types ? c.type_name
    )
    order by c.priority, c.ready_at, c.id
    limit $5
) t
order by k.n, t.priority, t.available_at, t.id

-- name: find_activities
-- Activities by their ids, open or closed.
select
    a.id,
    a.run_id,
    a.step
from activities a
where a.id = any($1::text[])

-- name: find_waiting_queue
-- A queue with a ready task that was due before $1. The first task of each queue, kind
-- and priority is looked at, so that its length does not count.
with recursive heads as (
    (
        select t.namespace, t.queue, t.kind, t.priority, t.ready_at
        from tasks t
        where t.ready_at is not null
        order by t.namespace, t.queue, t.kind, t.priority, t.ready_at
        limit 1
    )
    union all
    select n.namespace, n.queue, n.kind, n.priority, n.ready_at
    from heads h
    cross join lateral (
        select t.namespace, t.queue, t.kind, t.priority, t.ready_at
        from tasks t
        where t.ready_at is not null
        and (t.namespace, t.queue, t.kind, t.priority)
            > (h.namespace, h.queue, h.kind, h.priority)
        order by t.namespace, t.queue, t.kind, t.priority, t.ready_at
        limit 1
    ) n
)
select
    h.namespace,
    h.queue,
    h.kind
from heads h
where h.ready_at < $1
limit 1

-- name: list_held_leases
-- Which renewals find their lease held; takes their locks in order.
select
    x.n,
    x.task_id,
    x.lease_expires_at,
    x.activity_id,
    x.heartbeat_deadline_at,
    x.last_heartbeat_at
from unnest(
    $1::text[], $2::text[], $3::bigint[], $4::integer[],
    $5::text[], $6::text[], $7::bigint[], $8::bigint[]
) with ordinality x(
    task_id, owner, lease_expires_at, attempt,
    attempt_id, activity_id, heartbeat_deadline_at, last_heartbeat_at, n
)
join tasks t on t.id = x.task_id
where (t.status = 'leased') is true
and t.lease_owner = x.owner
and (x.attempt is null or t.attempt = x.attempt)
and (x.attempt_id is null or t.attempt_id = x.attempt_id)
order by t.id
for no key update of t

-- name: renew_leases
-- Move the expiry of the leases that are held; the run rows stay untouched.
update tasks t
set lease_expires_at = x.lease_expires_at
from held x
where t.id = x.task_id

-- name: renew_heartbeats
-- Move the heartbeat of the activities whose leases are renewed.
update activities a
set
    heartbeat_deadline_at = x.heartbeat_deadline_at,
    last_heartbeat_at = x.last_heartbeat_at
from held x
where a.id = x.activity_id

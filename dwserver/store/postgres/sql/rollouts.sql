-- Build-id rollouts of queues ($1: their namespaces, $2: their names).

-- name: list_rollouts
-- What is wanted of the cohorts of queues.
select
    o.namespace,
    o.task_queue,
    o.build_id,
    o.drain_intent,
    o.drained_at
from unnest($1::text[], $2::text[]) q(namespace, queue)
cross join lateral (
    select r.*
    from build_id_rollouts r
    where r.namespace = q.namespace
    and r.task_queue = q.queue
    limit $3
) o
limit $3

-- name: list_cohort_workers
-- Registrations of queues by cohort, runtime and SDK; those heard of at $3 or before
-- are stale.
select
    w.namespace,
    w.task_queue,
    w.build_id,
    w.runtime,
    w.sdk_version,
    count(*) filter (where w.last_heartbeat_at > $3 and w.status <> 'draining')
        as active,
    count(*) filter (where w.last_heartbeat_at > $3 and w.status = 'draining')
        as draining,
    count(*) filter (where w.last_heartbeat_at <= $3) as stale,
    min(w.registered_at) as first_seen_at,
    max(w.last_heartbeat_at) as last_heartbeat_at
from (
    select
        s.namespace,
        s.task_queue,
        s.build_id,
        s.runtime,
        s.sdk_version,
        s.status,
        s.registered_at,
        s.last_heartbeat_at
    from unnest($1::text[], $2::text[]) q(namespace, queue)
    join worker_registrations s on s.namespace = q.namespace
    and s.task_queue = q.queue
    limit $4
) w
group by w.namespace, w.task_queue, w.build_id, w.runtime, w.sdk_version

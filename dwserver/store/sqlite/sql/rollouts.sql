-- Build-id rollouts of queues ($1: array of pairs of namespace and name).

-- name: list_rollouts
-- What is wanted of the cohorts of queues.
select
    o.namespace,
    o.task_queue,
    o.build_id,
    o.drain_intent,
    o.drained_at
from json_each($1) h
join build_id_rollouts o on o.namespace = h.value ->> 0
and o.task_queue = h.value ->> 1
limit $2

-- name: list_cohort_workers
-- Registrations of queues by cohort, runtime and SDK; those heard of at $2 or before
-- are stale.
select
    w.namespace,
    w.task_queue,
    w.build_id,
    w.runtime,
    w.sdk_version,
    count(*) filter (where w.last_heartbeat_at > $2 and w.status <> 'draining')
        as active,
    count(*) filter (where w.last_heartbeat_at > $2 and w.status = 'draining')
        as draining,
    count(*) filter (where w.last_heartbeat_at <= $2) as stale,
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
    from json_each($1) h
    join worker_registrations s on s.namespace = h.value ->> 0
    and s.task_queue = h.value ->> 1
    limit $3
) w
group by w.namespace, w.task_queue, w.build_id, w.runtime, w.sdk_version

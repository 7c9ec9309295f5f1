-- Build-id rollouts.

-- name: put_rollout
-- What an operator wants of a cohort ($4); a repeat changes nothing.
insert into build_id_rollouts (
    namespace,
    task_queue,
    build_id,
    drain_intent,
    drained_at,
    created_at,
    updated_at
)
values ($1, $2, $3, $4, $5, $6, $6)
on conflict (namespace, task_queue, build_id) do update
set
    drain_intent = excluded.drain_intent,
    drained_at = case build_id_rollouts.drain_intent
        when excluded.drain_intent then build_id_rollouts.drained_at
        else excluded.drained_at
    end,
    updated_at = excluded.updated_at
returning
    namespace,
    task_queue,
    build_id,
    drain_intent,
    drained_at

-- name: resume_workers
-- Registrations of a cohort that were draining are active again.
update worker_registrations
set status = 'active'
where namespace = $1
and task_queue = $2
and coalesce(build_id, '') = $3
and status = 'draining'
returning worker_id

-- name: list_draining_queues
-- Queues with a drained cohort, of one namespace or (null) of all.
select
    w.namespace,
    w.task_queue as queue
from (
    select
        o.namespace,
        o.task_queue,
        o.drained_at
    from build_id_rollouts o
    where o.drain_intent = 'draining'
    and o.namespace = coalesce($1, o.namespace)
    limit $2
) w
group by w.namespace, w.task_queue
order by max(w.drained_at) desc nulls last, w.namespace, w.task_queue
limit $3

-- name: list_cohort_workers
-- Registrations of queues by cohort, runtime and SDK, of $2 that are looked at; those
-- heard of at $1 or before are stale.
select
    w.namespace,
    w.task_queue,
    w.build_id,
    w.runtime,
    w.sdk_version,
    count(*) filter (where w.is_live and w.status <> 'draining') as active,
    count(*) filter (where w.is_live and w.status = 'draining') as draining,
    count(*) filter (where not w.is_live) as stale,
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
        s.last_heartbeat_at,
        s.last_heartbeat_at > $1 as is_live
    from {registrations_of_queues}
    limit $2
) w
group by w.namespace, w.task_queue, w.build_id, w.runtime, w.sdk_version

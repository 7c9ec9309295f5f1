-- Build-id rollouts.

-- name: list_rollouts
-- What is wanted of the cohorts of queues ($1: their namespaces, $2: their names).
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

-- name: registrations_of_queues
-- The workers of queues ($3: their namespaces, $4: their names).
unnest($3::text[], $4::text[]) q(namespace, queue)
join worker_registrations s on s.namespace = q.namespace
and s.task_queue = q.queue

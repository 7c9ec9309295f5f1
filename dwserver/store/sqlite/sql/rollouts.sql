-- Build-id rollouts.

-- name: list_rollouts
-- What is wanted of the cohorts of queues ($1: array of pairs of namespace and name).
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

-- name: registrations_of_queues
-- The workers of queues ($3: array of pairs of namespace and name).
json_each($3) h
join worker_registrations s on s.namespace = h.value ->> 0
and s.task_queue = h.value ->> 1

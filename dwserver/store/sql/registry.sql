-- Namespaces, search attributes and workers.

-- name: find_worker
-- One worker registration.
select {worker}
from worker_registrations
where namespace = $1
and worker_id = $2

-- name: list_namespaces
-- All namespaces by name.
select {namespace}
from namespaces s
order by s.name

-- name: find_namespace
-- One namespace.
select {namespace}
from namespaces s
where s.name = $1

-- name: delete_worker
-- Forget a worker.
delete from worker_registrations
where namespace = $1
and worker_id = $2
returning worker_id

-- name: list_workers
-- Registrations of a namespace, by last heartbeat; $2: of one task queue.
select {worker}
from worker_registrations
where namespace = $1
and (cast($2 as text) is null or task_queue = $2)
order by last_heartbeat_at desc, worker_id

-- name: list_search_attributes
-- The search attributes of a namespace.
select
    d.name,
    d.value_type
from search_attribute_definitions d
where d.namespace = $1
order by d.name

-- name: delete_search_attribute
-- Forget a search attribute.
delete from search_attribute_definitions
where namespace = $1
and name = $2
returning name

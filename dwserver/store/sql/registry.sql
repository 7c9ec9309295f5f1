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
from namespaces
order by name

-- name: find_namespace
-- One namespace.
select {namespace}
from namespaces
where name = $1

-- name: create_namespace
-- A new namespace, unless the name exists.
insert into namespaces (
    name,
    description,
    retention_days,
    status,
    external_storage,
    created_at,
    updated_at
)
values ($1, $2, $3, $4, $5, $6, $7)
on conflict (name) do nothing
returning name

-- name: update_namespace
-- Change what is given of a namespace (what is null stays), and read it.
update namespaces
set
    description = coalesce($2, description),
    retention_days = coalesce($3, retention_days),
    external_storage = coalesce($4, external_storage),
    updated_at = $5
where name = $1
returning {namespace}

-- name: put_worker
-- Register a worker, or replace what is registered under its id if that has still the
-- fingerprints $15 (null: whatever it has); its status.
insert into worker_registrations (
    namespace,
    worker_id,
    task_queue,
    runtime,
    sdk_version,
    build_id,
    max_workflow_tasks,
    max_activity_tasks,
    status,
    registered_at,
    last_heartbeat_at,
    workflow_types,
    activity_types,
    fingerprints,
    details
)
select
    worker_registrations.namespace,
    $2,
    worker_registrations.task_queue,
    $4,
    $5,
    worker_registrations.build_id,
    $7,
    $8,
    {cohort_status},
    $9,
    $10,
    $11,
    $12,
    $13,
    $14
from (
    select
        cast($1 as text) as namespace,
        cast($3 as text) as task_queue,
        cast($6 as text) as build_id
) worker_registrations
where true
on conflict (namespace, worker_id) do update
set
    task_queue = excluded.task_queue,
    runtime = excluded.runtime,
    sdk_version = excluded.sdk_version,
    build_id = excluded.build_id,
    max_workflow_tasks = excluded.max_workflow_tasks,
    max_activity_tasks = excluded.max_activity_tasks,
    status = excluded.status,
    registered_at = excluded.registered_at,
    last_heartbeat_at = excluded.last_heartbeat_at,
    workflow_types = excluded.workflow_types,
    activity_types = excluded.activity_types,
    fingerprints = excluded.fingerprints,
    details = excluded.details
where worker_registrations.fingerprints = coalesce(
    $15,
    worker_registrations.fingerprints
)
returning status

-- name: renew_worker
-- Note what a worker says with a heartbeat at $5 and read it, unless what it had said
-- is not $3 any more.
update worker_registrations
set
    last_heartbeat_at = $5,
    status = {cohort_status},
    details = $4
where namespace = $1
and worker_id = $2
and details = $3
returning {worker}

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

-- name: put_search_attribute
-- A new search attribute, unless the name exists.
insert into search_attribute_definitions (
    namespace,
    name,
    value_type,
    created_at
)
values ($1, $2, $3, $4)
on conflict (namespace, name) do nothing
returning name

-- name: delete_search_attribute
-- Forget a search attribute.
delete from search_attribute_definitions
where namespace = $1
and name = $2
returning name

-- Namespaces, search attributes and workers.

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
-- A namespace as given; its creation stays as it was.
update namespaces
set
    description = $2,
    retention_days = $3,
    status = $4,
    external_storage = $5,
    updated_at = $6
where name = $1
returning name

-- name: put_worker
-- Register a worker, or replace what was registered under its id; its status.
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
        $1::text as namespace,
        $3::text as task_queue,
        $6::text as build_id
) worker_registrations
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
returning status

-- name: delete_silent_workers
-- Forget workers that were last heard of before $1, up to $2 of them.
delete from worker_registrations
where (namespace, worker_id) in (
    select
        s.namespace,
        s.worker_id
    from worker_registrations s
    where s.last_heartbeat_at < $1
    limit $2
    for update skip locked
)
returning worker_id

-- name: touch_workers
-- Note a heartbeat of workers that were seen, and read their registrations.
update worker_registrations
set
    last_heartbeat_at = greatest(worker_registrations.last_heartbeat_at, $3),
    status = {cohort_status}
from unnest($1::text[], $2::text[]) x(namespace, worker_id)
where worker_registrations.namespace = x.namespace
and worker_registrations.worker_id = x.worker_id
returning {worker}

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

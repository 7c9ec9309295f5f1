-- Namespaces, search attributes and worker registrations.

-- name: create_namespace
-- A new namespace, unless the name exists.
insert into namespaces (
    name,
    description,
    retention_days,
    status,
    created_at,
    updated_at,
    external_storage
)
values {rows}
on conflict (name) do nothing

-- name: update_namespace
-- Everything but its name and birth.
with x (
    name,
    description,
    retention_days,
    status,
    created_at,
    updated_at,
    external_storage
) as (values {rows})
update namespaces as t
set
    description = x.description,
    retention_days = x.retention_days,
    status = x.status,
    external_storage = x.external_storage,
    updated_at = x.updated_at
from x
where t.name = x.name

-- name: put_worker
-- Register, or replace the registration with the same key.
with x (
    namespace,
    worker_id,
    task_queue,
    runtime,
    sdk_version,
    build_id,
    max_workflow_tasks,
    max_activity_tasks,
    registered_at,
    last_heartbeat_at,
    workflow_types,
    activity_types,
    fingerprints,
    details
) as (values {rows})
insert into worker_registrations (
    namespace,
    worker_id,
    task_queue,
    runtime,
    sdk_version,
    build_id,
    max_workflow_tasks,
    max_activity_tasks,
    registered_at,
    last_heartbeat_at,
    workflow_types,
    activity_types,
    fingerprints,
    details,
    status
)
select
    worker_registrations.*,
    {cohort_status}
from x worker_registrations
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

-- name: delete_silent_workers
-- Forget workers that were last heard of before $1, up to $2 of them.
delete from worker_registrations
where rowid in (
    select s.rowid
    from worker_registrations s
    where s.last_heartbeat_at < $1
    limit $2
)

-- name: touch_workers
-- Note a heartbeat of workers at $2 and read them; $1: array of pairs of namespace and
-- worker id.
update worker_registrations
set
    last_heartbeat_at = max(last_heartbeat_at, $2),
    status = {cohort_status}
where (namespace, worker_id) in (select value ->> 0, value ->> 1 from json_each($1))
returning {worker}

-- name: put_search_attribute
-- A new search attribute, unless the name exists.
insert into search_attribute_definitions (
    namespace,
    name,
    value_type,
    created_at
)
values {rows}
on conflict (namespace, name) do nothing

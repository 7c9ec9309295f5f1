-- Workers.

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

-- Workers.

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

-- name: find_worker
-- One worker registration.
select {worker}
from worker_registrations
where namespace = $1
and worker_id = $2

-- Single records that decisions read, by their keys.

-- name: find_instance
-- The instance of a workflow id.
select
    i.namespace,
    i.workflow_id,
    i.workflow_type,
    i.current_run_id,
    i.run_count,
    i.created_at
from instances i
where i.namespace = $1
and i.workflow_id = $2

-- name: find_task
-- A task of a namespace, whatever its status.
select {task}
from tasks t
where t.id = $2
and t.namespace = $1

-- name: find_closed_attempt
-- An attempt that has ended.
select
    p.id,
    p.activity_id,
    p.task_id,
    p.run_id,
    p.number,
    p.status,
    p.lease_owner,
    p.started_at,
    p.closed_at
from activity_attempts p
where p.id = $1

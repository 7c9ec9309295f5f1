-- Reads for operators. {run_view}: the columns of a run, its input, its output and its
-- instance (dwserver/store/columns.py).

-- name: find_run_view
-- A run of a namespace with everything that describe shows.
select {run_view}
from runs r
join instances i on i.namespace = r.namespace and i.workflow_id = r.workflow_id
where r.id = $2
and r.namespace = $1

-- name: list_failures_of_run
-- Failures of a run, newest first.
select
    id,
    run_id,
    source_kind,
    source_id,
    propagation_kind,
    category,
    message,
    created_at,
    exception_type,
    exception_class,
    non_retryable,
    event_sequence
from failures
where run_id = $1
order by created_at desc, id desc
limit $2

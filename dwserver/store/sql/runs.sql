-- Reads for operators. {run_view}: the columns of a run, its input, its output and its
-- instance (dwserver/store/columns.py).

-- name: list_runs_of_instance
-- All runs of a workflow id: the one that created the instance, and its siblings. Where
-- they come from is not told.
select {own_run_view}
from instances i
join runs r on r.id = i.first_run_id
where i.namespace = $1
and i.workflow_id = $2
union all
select {own_run_view}
from instances i
join runs r on r.namespace = i.namespace and r.sibling_of = i.workflow_id
where i.namespace = $1
and i.workflow_id = $2
order by run_number

-- name: find_run_view
-- A run of a namespace with everything that describe shows; found by its id alone.
select {run_view}
from runs r
join instances i on i.namespace = r.namespace and i.workflow_id = r.workflow_id
left join run_imports p on p.run_id = r.id
where r.id = $2
and (r.namespace = $1) is true

-- name: find_run_place
-- A run of whatever namespace, and where it comes from.
select
    r.namespace,
    r.workflow_id,
    {run_import}
from runs r
left join run_imports p on p.run_id = r.id
where r.id = $1

-- name: list_failures_of_run
-- Failures of a run, newest first.
select
    f.id,
    f.run_id,
    f.source_kind,
    f.source_id,
    f.propagation_kind,
    f.category,
    f.message,
    f.created_at,
    f.exception_type,
    f.exception_class,
    f.non_retryable,
    f.event_sequence
from failures f
where f.run_id = $1
order by f.created_at desc, f.id desc
limit $2

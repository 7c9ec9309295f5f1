-- name: list_runs_of_instance
-- All runs of a workflow id: the one that created the instance, and its siblings.
select {run_view}
from instances i
join runs r on r.id = i.first_run_id
where i.namespace = $1
and i.workflow_id = $2
union all
select {run_view}
from instances i
join runs r on r.namespace = i.namespace and r.sibling_of = i.workflow_id
where i.namespace = $1
and i.workflow_id = $2
order by run_number

-- Reads for operators. Of a page of runs $1 is the namespace, $2 and $3 the position
-- that it follows, $4 its length, and $5 the text that matches or null.

-- name: find_run_view
-- A run of a namespace with everything that describe shows.
select {run_view}
from runs r
join instances i on i.namespace = r.namespace and i.workflow_id = r.workflow_id
where r.id = $2
and r.namespace = $1

-- name: list_runs_in_bucket
-- A page of runs of one status bucket ($6), newest first.
select {run_view}
from (
    select
        id,
        started_at
    from runs
    where namespace = $1
    and status_bucket = $6
    and (started_at, id) < ($2, $3)
    and ($5 is null or instr(workflow_id, $5) or instr(business_key, $5))
    order by started_at desc, id desc
    limit $4
) page
join runs r on r.id = page.id
join instances i on i.namespace = r.namespace and i.workflow_id = r.workflow_id
order by r.started_at desc, r.id desc

-- name: list_runs_of_type
-- A page of runs of a workflow type ($6), newest first; $7: only in this bucket.
select {run_view}
from (
    select
        id,
        started_at
    from runs
    where namespace = $1
    and workflow_type = $6
    and ($7 is null or status_bucket = $7)
    and (started_at, id) < ($2, $3)
    and ($5 is null or instr(workflow_id, $5) or instr(business_key, $5))
    order by started_at desc, id desc
    limit $4
) page
join runs r on r.id = page.id
join instances i on i.namespace = r.namespace and i.workflow_id = r.workflow_id
order by r.started_at desc, r.id desc

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

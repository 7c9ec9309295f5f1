-- Pages of the run list, put together by dwserver/store/run_page_sql.py. $1: namespace,
-- $2 and $3: the position that the page follows, $4: its length, $5: the earliest start.
-- A cross join keeps the order of the tables in SQLite, and `(…) is true` keeps a
-- condition away from the indexes: without statistics any of them may look as good.

-- name: page_of_runs
-- The runs of a page, from the branches that may have them.
select {run_view}
from (
    select
        found.id,
        found.started_at
    from (
        {branches}
    ) found
    order by found.started_at desc, found.id desc
    limit $4
) page
cross join runs r
cross join instances i
left join run_imports p on p.run_id = r.id
where r.id = page.id
and i.namespace = r.namespace
and i.workflow_id = r.workflow_id
order by r.started_at desc, r.id desc

-- name: page_in_bucket
-- Runs of a status bucket.
select
    r.id,
    r.started_at
from runs r
where r.namespace = $1
and r.status_bucket = '{bucket}'
and (r.started_at, r.id) < ($2, $3)
and r.pruned_at is null
and r.started_at >= $5{filters}
order by r.started_at desc, r.id desc
limit $4

-- name: page_of_type
-- Runs of a workflow type.
select
    r.id,
    r.started_at
from runs r
where r.namespace = $1
and r.workflow_type = {value}
and (r.started_at, r.id) < ($2, $3)
and r.pruned_at is null
and r.started_at >= $5{filters}
order by r.started_at desc, r.id desc
limit $4

-- name: page_by_term
-- Runs with a value of an attribute.
select
    a.run_id as id,
    a.started_at
from run_attributes a
cross join runs r
where r.id = a.run_id
and a.namespace = $1
and a.name = {attribute}
and a.term = {value}
and a.kind = '{kind}'
and (a.started_at, a.run_id) < ($2, $3)
and a.started_at >= $5{filters}
order by a.started_at desc, a.run_id desc
limit $4

-- name: page_by_number
-- Runs with an attribute that has an order.
select
    a.run_id as id,
    a.started_at
from run_attributes a
cross join runs r
where r.id = a.run_id
and a.namespace = $1
and a.name = {attribute}
and a.number is not null
and {check}
and (a.started_at, a.run_id) < ($2, $3)
and a.started_at >= $5{filters}
order by a.started_at desc, a.run_id desc
limit $4

-- name: page_by_run_id
-- Runs by their ids.
select
    r.id,
    r.started_at
from runs r
where {among}
and (r.namespace = $1) is true
and ((r.started_at, r.id) < ($2, $3)) is true
and r.pruned_at is null
and (r.started_at >= $5) is true{filters}

-- name: page_of_first_run
-- The run that created the instance of a workflow id.
select
    r.id,
    r.started_at
from instances i
cross join runs r
where i.namespace = $1
and i.workflow_id = {value}
and r.id = i.first_run_id
and ((r.started_at, r.id) < ($2, $3)) is true
and r.pruned_at is null
and (r.started_at >= $5) is true{filters}

-- name: page_of_sibling_runs
-- Further runs of a workflow id.
select
    r.id,
    r.started_at
from runs r
where r.namespace = $1
and r.sibling_of = {value}
and ((r.started_at, r.id) < ($2, $3)) is true
and r.pruned_at is null
and (r.started_at >= $5) is true{filters}

-- Retention: closed runs that are old enough and what is deleted of them, likewise
-- the histories of schedules.

-- name: list_runs_under_open_ones
-- Which of the runs have an open run among the parents of their parents.
with recursive ancestors as (
    select
        r.id as run_id,
        r.parent_run_id as ancestor_id
    from runs r
    where r.id in (select value from json_each($1))
    and r.parent_run_id is not null
    union
    select
        a.run_id,
        p.parent_run_id
    from ancestors a
    join runs p on p.id = a.ancestor_id
    where p.parent_run_id is not null
)
select distinct a.run_id
from ancestors a
join runs p on p.id = a.ancestor_id
where p.status_bucket = 'running'

-- name: prune_run
-- What is left of a run is that it was there; a decision under way meets a conflict.
update runs
set
    version = version + 1,
    pruned_at = $3,
    arguments_codec = null,
    arguments = null,
    output_codec = null,
    output = null,
    memo = null,
    search_attributes = null
where id = $2
and namespace = $1
and closed_at is not null
and archived_at is null
and pruned_at is null

-- name: prune_part
-- Of a run that is pruned: the rows of a table.
delete from {table}
where run_id = $1

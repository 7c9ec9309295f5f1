-- Retention: closed runs that are old enough and what is deleted of them, likewise
-- the histories of schedules.

-- name: list_runs_under_open_ones
-- Which of the runs have an open run among the parents of their parents. The offsets
-- keep each step a look-up by key, which a join need not be.
with recursive ancestors as (
    select
        r.id as run_id,
        r.parent_run_id as ancestor_id
    from runs r
    where r.id = any($1::text[])
    and r.parent_run_id is not null
    union
    select
        a.run_id,
        p.parent_run_id
    from ancestors a
    cross join lateral (
        select c.parent_run_id
        from runs c
        where c.id = a.ancestor_id
        offset 0
    ) p
    where p.parent_run_id is not null
)
select distinct a.run_id
from ancestors a
cross join lateral (
    select c.status_bucket
    from runs c
    where c.id = a.ancestor_id
    offset 0
) p
where p.status_bucket = 'running'

-- name: prune_run
-- What is left of each run is that it was there; a decision under way meets a conflict.
-- Every process locks them in the same order.
update runs r
set
    version = r.version + 1,
    pruned_at = $3,
    arguments_codec = null,
    arguments = null,
    output_codec = null,
    output = null,
    memo = null,
    search_attributes = null
from (
    select f.id
    from runs f
    where f.id = any($2::text[])
    and (f.namespace = $1) is true
    and (f.closed_at is not null and f.archived_at is null) is true
    and (f.pruned_at is null) is true
    order by f.id
    for no key update
) c
where r.id = c.id
returning r.id

-- name: prune_part
-- Of runs that are pruned: the rows of a table.
delete from {table} x
using pruned p
where x.run_id = p.id

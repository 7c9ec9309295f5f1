-- Repair: tasks that nobody has taken for a while, and leases that are over.

-- name: list_repair_candidates
-- Ready tasks that were due before $1 and leases that ended before $2, of all runs or of
-- some ($3); of all namespaces or of one ($5).
select
    t.id,
    t.run_id,
    t.queue,
    t.compatibility,
    t.created_at,
    t.available_at
from tasks t
where t.ready_at is not null
and t.ready_at <= $1
and ($3 is null or t.run_id in (select value from json_each($3)))
and ($5 is null or t.namespace = $5)
union all
select
    t.id,
    t.run_id,
    t.queue,
    t.compatibility,
    t.created_at,
    t.available_at
from tasks t
where t.status = 'leased'
and t.lease_expires_at <= $2
and ($3 is null or t.run_id in (select value from json_each($3)))
and ($5 is null or t.namespace = $5)
limit $4

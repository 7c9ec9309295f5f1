-- What admission caps are compared with.

-- name: count_active_leases
-- Leases of one kind that are good, in a queue ($2) and in its namespace.
select
    count(*) filter (where t.queue = $2) as in_queue,
    count(*) as in_namespace
from tasks t
where t.status = 'leased'
and t.namespace = $1
and t.kind = $3
and (t.lease_expires_at is null or t.lease_expires_at > $4)

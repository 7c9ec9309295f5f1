-- The nodes of the cluster. Only the clock of the database says who is alive: the nodes'
-- own clocks need not agree.

-- name: put_node
-- Register a node, or say that it is alive; $8: microseconds after which a silent node
-- is gone. The row belongs to the process that started last, unless that one is gone.
insert into cluster_nodes (
    node_id,
    process_class,
    internal_address,
    version,
    started_at,
    roles,
    details,
    heartbeat_at
)
values (
    $1,
    $2,
    $3,
    $4,
    $5,
    $6,
    $7,
    (extract(epoch from clock_timestamp()) * 1000000)::bigint
)
on conflict (node_id) do update
set
    process_class = excluded.process_class,
    internal_address = excluded.internal_address,
    version = excluded.version,
    started_at = excluded.started_at,
    roles = excluded.roles,
    details = excluded.details,
    heartbeat_at = excluded.heartbeat_at
where cluster_nodes.started_at <= excluded.started_at
or cluster_nodes.heartbeat_at < excluded.heartbeat_at - $8

-- name: list_live_nodes
-- The nodes that were heard of in the last $1 microseconds, with the age of that.
select
    {node},
    n.clock - cluster_nodes.heartbeat_at as heartbeat_age
from cluster_nodes
cross join (
    select (extract(epoch from clock_timestamp()) * 1000000)::bigint as clock
) n
where cluster_nodes.heartbeat_at >= n.clock - $1
order by cluster_nodes.node_id

-- name: delete_node
-- A node leaves; the row of a later process with its name stays.
delete from cluster_nodes
where node_id = $1
and started_at = $2
returning node_id

-- name: delete_silent_nodes
-- Forget nodes that were not heard of for $1 microseconds.
delete from cluster_nodes
where node_id in (
    select s.node_id
    from cluster_nodes s
    where s.heartbeat_at < (extract(epoch from clock_timestamp()) * 1000000)::bigint - $1
    for update skip locked
)

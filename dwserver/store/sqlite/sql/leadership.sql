-- Leadership: one lease for each name, by the clock of the database.

-- name: find_leader
-- The lease, held or not, and what time it is for the database.
select
    l.name,
    l.holder,
    l.term,
    l.expires_at,
    cast((julianday('now') - 2440587.5) * 86400000000 as integer) as read_at
from leader_leases l
where l.name = $1

-- name: acquire_leadership
-- Begin the next term, unless somebody's lease has not expired.
insert into leader_leases as l (
    name,
    holder,
    term,
    expires_at
)
values ($1, $2, 1, cast((julianday('now') - 2440587.5) * 86400000000 as integer) + $3)
on conflict (name) do update set
    holder = excluded.holder,
    term = l.term + 1,
    expires_at = excluded.expires_at
where l.expires_at <= cast((julianday('now') - 2440587.5) * 86400000000 as integer)
returning
    name,
    holder,
    term,
    expires_at,
    expires_at - $3 as read_at

-- name: renew_leadership
-- Stay the leader: of this term, as long as nobody has begun the next one.
update leader_leases set
    expires_at = cast((julianday('now') - 2440587.5) * 86400000000 as integer) + $4
where name = $1
and holder = $2
and term = $3
returning
    name,
    holder,
    term,
    expires_at,
    expires_at - $4 as read_at

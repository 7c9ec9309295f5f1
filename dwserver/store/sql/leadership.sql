-- name: release_leadership
-- Let the next leader begin at once.
update leader_leases set
    expires_at = 0
where name = $1
and holder = $2
and term = $3

-- Commands that carry a request id, updates, and the outbox.

-- name: find_command
-- The first command of a run that carries a request id; $3: of this type only.
select {command}
from commands c
where c.run_id = $1
and c.request_id = $2
and (cast($3 as text) is null or c.command_type = $3)
order by c.sequence
limit 1

-- name: find_update
-- An update in whatever status; where a run left it to its successor, as it stands
-- there.
select {update}
from updates u
where u.id = $1
order by u.status = 'accepted', u.accepted_at desc, u.run_id desc
limit 1

-- name: find_update_of_command
-- The update that a command brought, in whatever status.
select {update}
from updates u
where u.run_id = $1
and u.sequence = $2

-- name: list_due_outbox
-- Work that is due, the oldest first.
select {outbox}
from outbox o
where o.available_at <= $1
order by o.available_at, o.id
limit $2

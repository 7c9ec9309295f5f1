-- Operator commands and the messages that they brought, children, and the outbox.

-- name: list_message_payloads
-- Arguments of messages; $2: array of the numbers of their commands.
select
    sequence,
    payload_codec,
    payload
from commands
where run_id = $1
and sequence in (select value from json_each($2))

-- name: list_open_children
-- Open children of runs; $1: array of run ids.
select {child}
from children c indexed by children_open
where run_id in (select value from json_each($1))
and status in ('scheduled', 'started')
order by run_id, step

-- name: delete_outbox
-- Work that is done; $1: array of ids.
delete from outbox
where id in (select value from json_each($1))

-- name: postpone_outbox
-- Work that is to be tried again later; $1: array of ids.
update outbox
set available_at = $2
where id in (select value from json_each($1))

-- Operator commands and the messages that they brought, children, and the outbox.

-- name: list_message_payloads
-- Arguments of messages by the numbers of their commands.
select
    c.sequence,
    c.payload_codec,
    c.payload
from commands c
where c.run_id = $1
and c.sequence = any($2::bigint[])

-- name: list_open_children
-- Open children of runs.
select {child}
from children c
where c.run_id = any($1::text[])
and c.status in ('scheduled', 'started')
order by c.run_id, c.step

-- name: delete_outbox
-- Work that is done.
delete from outbox
where id = any($1::text[])

-- name: postpone_outbox
-- Work that is to be tried again later.
update outbox
set available_at = $2
where id = any($1::text[])

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

-- name: find_command_of_workflow
-- The first one of a request id ($5) and a type ($6) in the runs of a workflow id with
-- $3 < number <= $4, the newest run first.
-- The run that created the instance is found by its id, the others as its siblings.
select {command}
from (
    select
        r.id,
        r.run_number
    from instances i
    join runs r on r.id = i.first_run_id
    where i.namespace = $1
    and i.workflow_id = $2
    and r.run_number > $3
    union all
    select
        r.id,
        r.run_number
    from runs r
    where r.namespace = $1
    and r.sibling_of = $2
    and r.run_number > $3
    and r.run_number <= $4
) as k
cross join lateral (
    select c.*
    from commands c
    where c.run_id = k.id
    and c.request_id = $5
    and ($6::text is null or c.command_type = $6)
    order by c.sequence
    limit 1
) as c
order by k.run_number desc
limit 1

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

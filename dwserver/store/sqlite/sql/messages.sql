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
cross join commands c
where c.run_id = k.id
and c.request_id = $5
and ($6 is null or c.command_type = $6)
order by k.run_number desc, c.sequence
limit 1

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

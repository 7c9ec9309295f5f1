-- name: list_commands_of_run
-- All operator commands of a run, rejected ones too.
select {command}
from commands c
where c.run_id = $1
order by c.sequence

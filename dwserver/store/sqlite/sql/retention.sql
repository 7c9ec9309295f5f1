-- Retention: closed runs that are old enough, and what is deleted of them.

-- name: list_expired_runs
-- Closed runs of a namespace that nobody archived or pruned and that closed before $2,
-- the oldest first, behind ($3, $4).
select
    r.id,
    r.closed_at,
    r.last_sequence
from runs r
where r.namespace = $1
and r.closed_at is not null
and r.archived_at is null
and r.pruned_at is null
and r.closed_at < $2
and (r.closed_at, r.id) > ($3, $4)
order by r.closed_at, r.id
limit $5

-- name: list_runs_under_open_ones
-- Which of the runs have an open run among the parents of their parents.
with recursive ancestors as (
    select
        r.id as run_id,
        r.parent_run_id as ancestor_id
    from runs r
    where r.id in (select value from json_each($1))
    and r.parent_run_id is not null
    union
    select
        a.run_id,
        p.parent_run_id
    from ancestors a
    join runs p on p.id = a.ancestor_id
    where p.parent_run_id is not null
)
select distinct a.run_id
from ancestors a
join runs p on p.id = a.ancestor_id
where p.status_bucket = 'running'

-- name: prune_run
-- What is left of a run is that it was there; a decision under way meets a conflict.
update runs
set
    version = version + 1,
    pruned_at = $3,
    arguments_codec = null,
    arguments = null,
    output_codec = null,
    output = null,
    memo = null,
    search_attributes = null
where id = $2
and namespace = $1
and closed_at is not null
and archived_at is null
and pruned_at is null

-- name: prune_events
-- Of a run that is pruned: events.
delete from history_events
where run_id = $1

-- name: prune_tasks
-- Of a run that is pruned: tasks.
delete from tasks
where run_id = $1 and closed_at is not null

-- name: prune_activities
-- Of a run that is pruned: activities.
delete from activities
where run_id = $1

-- name: prune_attempts
-- Of a run that is pruned: attempts.
delete from activity_attempts
where run_id = $1

-- name: prune_timers
-- Of a run that is pruned: timers.
delete from timers
where run_id = $1

-- name: prune_children
-- Of a run that is pruned: children.
delete from children
where run_id = $1

-- name: prune_waits
-- Of a run that is pruned: waits.
delete from waits
where run_id = $1

-- name: prune_signals
-- Of a run that is pruned: signals.
delete from signals
where run_id = $1

-- name: prune_updates
-- Of a run that is pruned: updates.
delete from updates
where run_id = $1

-- name: prune_commands
-- Of a run that is pruned: commands.
delete from commands
where run_id = $1

-- name: prune_failures
-- Of a run that is pruned: failures.
delete from failures
where run_id = $1

-- name: prune_attributes
-- Of a run that is pruned: what lists find it by.
delete from run_attributes
where run_id = $1

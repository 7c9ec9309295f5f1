-- Retention: closed runs that are old enough and what is deleted of them, likewise
-- the histories of schedules.

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

-- name: prune_schedule_events
-- The beginning of a history, at most $5 events and none beyond $4: all up to $3, then
-- those before the first one that is not older than $2. So no gap arises.
with head as (
    select
        e.sequence,
        e.recorded_at
    from schedule_events e
    where e.schedule_id = $1
    and e.sequence <= $4
    order by e.sequence
    limit $5
)
delete from schedule_events
where schedule_id = $1
and sequence <= (
    select max(h.sequence)
    from head h
)
and sequence < coalesce(
    (
        select min(h.sequence)
        from head h
        where h.sequence > $3
        and h.recorded_at >= $2
    ),
    $4 + 1
)
returning sequence

-- name: forget_schedule
-- A schedule that was deleted and has no history any more.
delete from schedules
where id = $1
and status = 'deleted'
and not exists (
    select 1
    from schedule_events e
    where e.schedule_id = $1
)

-- Retention: closed runs that are old enough and what is deleted of them, likewise
-- the histories of schedules.

-- name: list_runs_under_open_ones
-- Which of the runs have an open run among the parents of their parents. The offsets
-- keep each step a look-up by key, which a join need not be.
with recursive ancestors as (
    select
        r.id as run_id,
        r.parent_run_id as ancestor_id
    from runs r
    where r.id = any($1::text[])
    and r.parent_run_id is not null
    union
    select
        a.run_id,
        p.parent_run_id
    from ancestors a
    cross join lateral (
        select c.parent_run_id
        from runs c
        where c.id = a.ancestor_id
        offset 0
    ) p
    where p.parent_run_id is not null
)
select distinct a.run_id
from ancestors a
cross join lateral (
    select c.status_bucket
    from runs c
    where c.id = a.ancestor_id
    offset 0
) p
where p.status_bucket = 'running'

-- name: prune_run
-- What is left of each run is that it was there; a decision under way meets a conflict.
-- Every process locks them in the same order.
update runs r
set
    version = r.version + 1,
    pruned_at = $3,
    arguments_codec = null,
    arguments = null,
    output_codec = null,
    output = null,
    memo = null,
    search_attributes = null
from (
    select f.id
    from runs f
    where f.id = any($2::text[])
    and (f.namespace = $1) is true
    and (f.closed_at is not null and f.archived_at is null) is true
    and (f.pruned_at is null) is true
    order by f.id
    for no key update
) c
where r.id = c.id
returning r.id

-- name: prune_events
-- Of runs that are pruned: events.
delete from history_events x
using pruned p
where x.run_id = p.id

-- name: prune_tasks
-- Of runs that are pruned: tasks.
delete from tasks x
using pruned p
where x.run_id = p.id and x.closed_at is not null

-- name: prune_activities
-- Of runs that are pruned: activities.
delete from activities x
using pruned p
where x.run_id = p.id

-- name: prune_attempts
-- Of runs that are pruned: attempts.
delete from activity_attempts x
using pruned p
where x.run_id = p.id

-- name: prune_timers
-- Of runs that are pruned: timers.
delete from timers x
using pruned p
where x.run_id = p.id

-- name: prune_children
-- Of runs that are pruned: children.
delete from children x
using pruned p
where x.run_id = p.id

-- name: prune_waits
-- Of runs that are pruned: waits.
delete from waits x
using pruned p
where x.run_id = p.id

-- name: prune_signals
-- Of runs that are pruned: signals.
delete from signals x
using pruned p
where x.run_id = p.id

-- name: prune_updates
-- Of runs that are pruned: updates.
delete from updates x
using pruned p
where x.run_id = p.id

-- name: prune_commands
-- Of runs that are pruned: commands.
delete from commands x
using pruned p
where x.run_id = p.id

-- name: prune_failures
-- Of runs that are pruned: failures.
delete from failures x
using pruned p
where x.run_id = p.id

-- name: prune_attributes
-- Of runs that are pruned: what lists find it by.
delete from run_attributes x
using pruned p
where x.run_id = p.id

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
    $4::bigint + 1
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
returning id
